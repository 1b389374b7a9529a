"""Every file in examples/ runs: against fakes where it names a service, as it stands where it does not."""

import glob
import json
import os
import shutil
import unittest

from world import Case, EXAMPLES, SECRET, TOP, filesystem_server, needs_servers

CALLS = ('OPENAI_API_KEY', 'ANTHROPIC_API_KEY')


class Examples(Case):
    """Runs copies, so that nothing is left in the folder of the examples."""

    def setUp(self):
        super().setUp()
        for path in glob.glob(os.path.join(EXAMPLES, '*.yaml')):
            shutil.copy(path, self.dir)
        self.env.update(dict.fromkeys(CALLS, SECRET), TUTTI_STORE=self.path('store'))

    def change(self, name, old, new):
        text = self.read(name)
        self.assertIn(old, text)
        self.write(name, text.replace(old, new))

    def test_none_is_left_out(self):
        there = {os.path.basename(path) for path in glob.glob(os.path.join(EXAMPLES, '*.yaml'))}
        with open(os.path.join(EXAMPLES, 'README.md'), encoding='utf-8') as opened:
            table = opened.read()
        with open(__file__, encoding='utf-8') as opened:
            mine = opened.read()
        for name in there:
            self.assertIn(f'[{name}]', table)
            self.assertIn(name.removesuffix('.yaml'), mine)

    def test_all_are_valid(self):
        for path in sorted(glob.glob(self.path('*.yaml'))):
            if not path.endswith('workflow_config.yaml'):  # a part of team.yaml: its agents are there
                with self.subTest(path=path):
                    self.tutti('validate', path, code=0)

    def test_conversation(self):
        first = self.tutti('run', 'conversation.yaml', '--run-id', 'a', '-i', 'Plan a complex launch', '-q', code=4)
        self.assertEqual(first.out, 'I need some more details. What is your preferred approach?\n')
        self.assertEqual(self.tutti('send', 'a', 'slowly', '-q', code=4).out, "Great! Now, what's your timeline?\n")
        told = 'Done: Plan a complex launch; approach: slowly; timeline: three weeks\n'
        self.assertEqual(self.tutti('send', 'a', 'three weeks', '-q', code=4).out, told)
        self.assertEqual(self.tutti('send', 'a', 'thanks', '-q', code=4).out, 'You said: thanks\n')
        self.assertEqual(self.tutti('send', 'a', 'Goodbye', '-q', code=0).out, 'Goodbye!\n')

    def test_lead_agent(self):
        server = self.model({'keys': [SECRET]})
        doc = self.run_ok('lead-agent.yaml', env={'OPENAI_CHAT_URL': server.url + '/v1/chat/completions'})
        self.assertEqual((doc['workflow'], doc['text']), ('my_first_workflow', 'echo: Generate a creative story'))
        self.assertEqual(list(doc['nodes']), ['generate_content'])
        body = server.log[-1]['body']
        self.assertEqual(
            (body['model'], body['max_tokens'], body['messages']),
            ('gpt-4', 500, [{'role': 'user', 'content': 'Generate a creative story'}]),
        )

    def test_lead_agent_retries(self):
        server = self.model({'rules': [{'fault': {'status': 500, 'times': 2}, 'reply': {'text': 'a story'}}]})
        doc = self.run_ok('lead-agent.yaml', env={'OPENAI_CHAT_URL': server.url + '/v1/chat/completions'})
        self.assertEqual((doc['text'], doc['nodes']['generate_content']['attempts']), ('a story', 3))
        self.assertGreaterEqual(doc['duration_ms'], 1500)

    def lead(self, server, **env):
        return self.tutti(
            'run',
            'lead-agent-parallel.yaml',
            '--json',
            env=dict(
                {'OPENAI_CHAT_URL': server.url + '/v1/chat/completions', 'DATA_URL': server.url + '/api'}, **env
            ),
        )

    def test_lead_agent_parallel(self):
        server = self.model()
        done = self.lead(server, DATA_TOKEN='token-one', DATA_KEY='key-two-two', DATA_PASSWORD='pass-three')
        self.assertEqual((done.code, done.json['status']), (0, 'completed'), done)
        doc = done.json
        one, two, three = (doc['nodes'][f'fetch_data_source_{i}']['output']['headers'] for i in (1, 2, 3))
        self.assertEqual((one['user-agent'], one['authorization']), ('LeadAgent/1.0', 'Bearer ***'))
        self.assertEqual(two['x-api-key'], '***')  # sent, and hidden when it came back
        self.assertTrue(three['authorization'].startswith('Basic '))
        (asked,) = [entry['user'] for entry in server.log if 'user' in entry]  # the third source may answer later
        self.assertIn('[fetch_data_source_1]', asked)
        self.assertIn('[fetch_data_source_2]', asked)
        self.assertGreaterEqual(
            doc['nodes']['combine_results']['started'],
            max(doc['nodes'][f'fetch_data_source_{i}']['started'] for i in (1, 2)),
        )

    def test_lead_agent_parallel_partial(self):
        server = self.model()
        self.change(
            'lead-agent-parallel.yaml',
            '/echo"\n    authentication: {type: "api_key"',
            '/status/404"\n    authentication: {type: "api_key"',
        )
        done = self.lead(server)
        self.assertEqual((done.code, done.json['status']), (0, 'partial'), done)
        status = {name: node['status'] for name, node in done.json['nodes'].items()}
        self.assertEqual(
            (status['fetch_data_source_1'], status['fetch_data_source_2'], status['combine_results']),
            ('completed', 'failed', 'skipped'),
        )

    def test_failure_strategies(self):
        for name, code, status in (
            ('stop', 1, ['failed', 'cancelled']),
            ('go_on', 1, ['failed', 'completed', 'skipped']),
            ('partial', 0, ['failed', 'completed', 'skipped']),
            ('tolerant', 0, ['failed', 'completed']),
        ):
            with self.subTest(name=name):
                doc = self.tutti('run', 'failure-strategies.yaml', name, '-i', 'x', '--json', code=code).json
                self.assertEqual([node['status'] for node in doc['nodes'].values()][: len(status)], status)
        self.tutti('run', 'failure-strategies.yaml', 'partial', '-i', 'x', '--strict', code=5)

    def test_team_offline(self):
        doc = self.run_ok('team.yaml', 'content_pipeline', '-m', 'offline', '-i', 'https://example.com')
        self.assertEqual(list(doc['nodes']), ['url_fetcher', 'summarizer', 'social_media_writer'])
        doc = self.run_ok('team.yaml', 'research_analysis', '-m', 'offline', '-i', 'AI and jobs')
        self.assertEqual(
            list(doc['nodes']), ['financial_analyst', 'technical_analyst', 'market_analyst', 'synthesizer']
        )
        self.assertTrue(doc['text'].startswith('Original Request: AI and jobs\n\n--- Agent Responses ---\n'))

    def test_team_on_the_wire(self):
        """llm_config.yaml and workflow_config.yaml as they stand, but for the address."""
        server = self.model({'keys': [SECRET]})
        self.change(
            'llm_config.yaml',
            'model: "gpt-4o-mini"\n    apiKey',
            f'model: "gpt-4o-mini"\n    apiBase: {server.url}/v1\n    apiKey',
        )
        doc = self.run_ok('team.yaml', 'research_analysis', '-i', 'AI and jobs')
        self.assertEqual((doc['status'], server.count), ('completed', 4))
        first = server.log[0]['body']
        self.assertEqual((first['model'], first['temperature']), ('gpt-4o-mini', 0.7))
        self.assertEqual(first.get('max_tokens', first.get('max_completion_tokens')), 4096)
        self.assertIn('optimized for speed', first['messages'][0]['content'])
        last = server.log[-1]['user']
        for name in ('financial', 'technical', 'market'):
            self.assertIn(f'[{name}_analyst]:', last)

    def test_team_chooses_and_plans(self):
        """An echo chooses nobody and plans nothing: the first agent gets it, each does it in order."""
        doc = self.run_ok('team.yaml', 'intelligent_dispatch', '-m', 'offline', '-i', 'Mend it')
        self.assertEqual(doc['nodes']['choose']['status'], 'failed')
        self.assertEqual(doc['nodes']['code_expert']['output'], 'Mend it')
        doc = self.run_ok('team.yaml', 'complex_project', '-m', 'offline', '-i', 'A post')
        self.assertEqual([doc['nodes'][f'step-{i}']['agent'] for i in (1, 2, 3, 4, 5)],
                         ['researcher', 'analyzer', 'writer', 'reviewer', 'publisher'])

    def test_team_without_a_key(self):
        """A key that is missing is not a choice."""
        self.env.pop('ANTHROPIC_API_KEY', None)
        done = self.tutti('run', 'team.yaml', 'intelligent_dispatch', '-i', 'x', code=1)
        self.assertIn("'ANTHROPIC_API_KEY' is not set", done.err + done.out)

    def test_patterns(self):
        doc = self.run_ok('patterns.yaml', 'dispatch', '-i', 'Mend this bug')
        self.assertEqual(doc['nodes']['choose']['output']['agent'], 'coder')
        self.assertEqual(doc['nodes']['coder']['status'], 'completed')
        doc = self.run_ok('patterns.yaml', 'project', '-i', 'A post about tides')
        self.assertIn('--- Output from step 2 ---\nFind the numbers', doc['text'])
        doc = self.run_ok('patterns.yaml', 'polish', '-i', 'a motto for a harbour')
        self.assertEqual(doc['text'], 'Come in with the tide, leave with friends.')
        doc = self.run_ok('patterns.yaml', 'desk', '-i', 'A feature')
        self.assertEqual(list(doc['output']), ['facts', 'code', 'text'])
        doc = self.run_ok('patterns.yaml', 'guild', '-i', 'Why is the sea salty?')
        self.assertEqual(doc['nodes']['writer.offer']['output']['can_handle'], True)
        doc = self.run_ok('patterns.yaml', 'certain', '-i', 'Is 91 a prime?')
        self.assertEqual((doc['text'], doc['usage']['model_calls']), ('No: 91 is 7 times 13.', 2))
        doc = self.run_ok('patterns.yaml', 'each', '-i', 'ebb, flood')
        self.assertEqual(doc['nodes']['notes']['output'], ['Explain ebb', 'Explain flood'])
        self.assertEqual(doc['nodes']['merge']['status'], 'completed')

    def test_greeting(self):
        done = self.tutti('test', 'greeting.test.yaml', code=0)
        self.assertIn('4 passed, 0 failed', done.out)

    def test_nested(self):
        doc = self.run_ok('nested.yaml', '-i', 'Collect')
        self.assertIn('data_prep/transformer', doc['nodes'])
        self.assertIn('model_ensemble/ensemble', doc['nodes'])

    def test_triage(self):
        doc = self.run_ok('triage.yaml', '-i', 'Nobody can log in since nine')
        self.assertEqual((doc['output']['topic'], doc['output']['urgent']), ('login', True))
        self.assertEqual((doc['nodes']['alarm']['status'], doc['nodes']['file']['status']), ('completed', 'skipped'))
        doc = self.run_ok('triage.yaml', '-i', 'The footer has a typo')
        self.assertEqual((doc['output']['urgent'], doc['nodes']['alarm']['status']), (False, 'skipped'))
        self.assertEqual(doc['output']['answer'], 'filed: text')

    def test_agents_as_tools(self):
        text = self.run_ok('agents-as-tools.yaml', '-i', 'How many pens?')['text']
        self.assertIn('A pen costs 2.40.', text)

    def test_programs(self):
        doc = self.run_ok('programs.yaml', '-i', 'three small words')
        self.assertEqual(doc['nodes']['hello']['text'], 'Good morning, 17 letters: THREE SMALL WORDS')
        self.assertIn('small', doc['nodes']['words']['text'])

    def test_http(self):
        server = self.model()
        doc = self.run_ok('http.yaml', '-i', 'title=Pens', env={'API_URL': server.url + '/api'})
        self.assertEqual(doc['output'], {'before': 0, 'item': {'id': 1, 'title': 'PENS'}})

    def test_resilient(self):
        doc = self.run_ok('resilient.yaml', '-i', 'hello')
        self.assertEqual(
            [(n['text'], n['attempts']) for n in doc['nodes'].values()],
            [('third time lucky', 3), ('the spare one answers', 1), ('third time lucky', 3)],
        )

    def test_undo(self):
        path = os.path.join(EXAMPLES, 'undo.yaml')
        doc = self.tutti('run', path, '-i', 'x', '--json', code=1).json
        self.assertEqual((doc['status'], doc['compensation']['undone']), ('compensated', 2))
        self.assertEqual(doc['nodes']['hotel/undo[1]']['output'], 'give back hotel H3')
        doc = self.tutti('run', path, '-i', 'x', '-i', 'car=yes', '--json', code=0).json
        self.assertEqual(doc['output'], 'F7, H3, C1')
        doc = self.tutti('runs', 'rollback', doc['run'], '--json', code=0).json
        self.assertEqual((doc['status'], doc['compensation']['undone']), ('compensated', 3))

    def test_budget(self):
        doc = self.tutti('run', os.path.join(EXAMPLES, 'budget.yaml'), '-i', 'a lighthouse', '--json', code=0).json
        pages = doc['output']['pages']
        self.assertEqual((doc['status'], [page is not None for page in pages]), ('partial', [True] * 4 + [False] * 4))
        self.assertIn("budget of 0.0012 USD", doc['nodes']['pages/page[7]']['error'])

    def test_models(self):
        self.assertEqual(self.run_ok('models.yaml', '-i', 'q')['text'], 'q')
        server = self.model()
        self.assertEqual(
            self.run_ok('models.yaml', '-m', 'here', '-i', 'q', env={'LOCAL_URL': server.url + '/v1'})['text'],
            'echo: q',
        )

    @needs_servers
    def test_tools_and_digest(self):
        shutil.copytree(os.path.join(EXAMPLES, 'data'), self.path('data'))
        server = filesystem_server('.')
        for name in ('tools.yaml', 'digest.yaml'):
            self.change(name, 'command: npx', 'command: node')
            self.change(
                name,
                'args: [-y, "@modelcontextprotocol/server-filesystem@2026.8.31", .]',
                'args: ' + json.dumps(server['args']),
            )
        doc = self.run_ok('tools.yaml', '-i', 'What do the minutes say?')
        with open(os.path.join(EXAMPLES, 'data', 'minutes-2025-03-10.md'), encoding='utf-8') as opened:
            self.assertIn(opened.readline().strip(), doc['text'])
        doc = self.run_ok('tools.yaml', 'direct', '-i', 'x')
        self.assertIn('company.md', doc['nodes']['list']['text'])
        doc = self.run_ok('digest.yaml')
        self.assertTrue(self.read('data', 'report.md').startswith('# Digest'))
        self.assertEqual(doc['usage']['tool_calls'], 6)

    def test_the_readmes_files(self):
        """The YAML of the top README is what `tutti init` writes in essence, and loads."""
        with open(os.path.join(TOP, 'README.md'), encoding='utf-8') as opened:
            block = opened.read().split('```yaml\n')[1].split('```')[0]
        self.write('readme.yaml', block)
        self.assertEqual(self.run_ok('readme.yaml', '-i', 'Hello')['text'], 'Hello')


if __name__ == '__main__':
    unittest.main()

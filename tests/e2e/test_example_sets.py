"""The examples in folders run against fakes on the wire, as they stand; and the drawing of every example is kept."""

import glob
import json
import os
import re
import shutil
import unittest

from world import FAKE, Case, EXAMPLES, SECRET, SERVERS, needs_servers

SETS = ('advanced-agent-system', 'agent-patterns', 'agent-orchestra')
NPX = """#!/bin/sh
# npx as far as examples need it: the package that lies here, or a fake of one that would need a browser.
[ "$1" = -y ] && shift
package=$1
shift
case $package in
*server-filesystem*) exec node '{servers}/server-filesystem/dist/index.js' "$@" ;;
*playwright*) exec python3 '{fake}/mcp_pages.py' browser_navigate ;;
esac
exit 127
"""
UVX = """#!/bin/sh
exec python3 '{fake}/mcp_pages.py' fetch
"""


def says(system, text, **more):
    """The agent whose instruction has these words answers so."""
    reply = {'text': text} if isinstance(text, str) else {'json': text}
    return {'match': dict({'system': system}, **more), 'reply': reply}


def calls(tool, arguments, **match):
    return {'match': dict({'tools': tool, 'after_tools': False}, **match),
            'reply': {'tool_calls': [{'name': tool, 'arguments': arguments}]}}


class Sets(Case):
    def setUp(self):
        super().setUp()
        for name in SETS:
            shutil.copytree(os.path.join(EXAMPLES, name), self.path(name))
        for name, text in (('npx', NPX), ('uvx', UVX)):
            path = self.write(os.path.join('bin', name), text.format(servers=SERVERS, fake=FAKE))
            os.chmod(path, 0o755)
        self.env.update(OPENAI_API_KEY=SECRET, TUTTI_STORE=self.path('store'), API_URL='http://127.0.0.1:9')
        self.env['PATH'] = self.path('bin') + os.pathsep + self.env['PATH']

    def run_with(self, rules, *words, code=0, **script):
        """Runs an example with a model that answers by these rules; the document and the model."""
        server = self.model(dict({'keys': [SECRET], 'rules': rules}, **script))
        done = self.tutti('run', *words, '--json', env={'OPENAI_BASE_URL': server.url + '/v1'}, code=code)
        return done.json, server

    def test_none_is_left_out(self):
        with open(os.path.join(EXAMPLES, 'README.md'), encoding='utf-8') as opened:
            table = opened.read()
        with open(__file__, encoding='utf-8') as opened:
            mine = opened.read()
        for name in SETS:
            for path in glob.glob(self.path(name, '*.yaml')):
                base = os.path.basename(path)
                self.assertIn(f'({name}/{base})', table)
                self.assertIn(f'{name}/{base}', mine)
                self.tutti('validate', path, code=0)

    # ---- Advanced MCP Agent System ---------------------------------------------------------------
    def test_content_pipeline(self):
        doc, server = self.run_with(
            [
                calls('fetch__fetch', {'url': '$user'}, system='Fetch and summarize'),
                says('Fetch and summarize', 'summary of $tool_result'),
                says('social media', 'post: $user'),
                says('Spanish', 'es: $user'),
            ],
            'advanced-agent-system/content-pipeline.yaml', '-i', 'https://fast-agent.ai',
        )
        self.assertEqual(doc['text'], 'es: post: summary of page: https://fast-agent.ai')
        self.assertEqual((list(doc['nodes']), server.count), (['url_fetcher', 'social_media', 'translator'], 4))

    def test_multi_perspective_analysis(self):
        doc, server = self.run_with(
            [says('perspective', 'seen'), says('Synthesize', 'whole: $user')],
            'advanced-agent-system/multi-perspective-analysis.yaml', '-i', 'Analyze the impact of AI on the job market',
        )
        self.assertTrue(doc['text'].startswith('whole: Original Request: Analyze the impact'))
        self.assertEqual((doc['text'].count('seen'), server.count), (3, 4))

    def test_multi_perspective_without_one(self):
        doc, _ = self.run_with(
            [
                {'match': {'system': 'technical'}, 'fault': 400},
                says('perspective', 'seen'),
                says('Synthesize', '$user'),
            ],
            'advanced-agent-system/multi-perspective-analysis.yaml', '-i', 'AI',
        )
        self.assertEqual((doc['status'], doc['text'].count('seen')), ('partial', 2))

    @needs_servers
    def test_intelligent_router(self):
        def chosen(query, agent):
            return says('routing assistant', {'agent': agent, 'confidence': 0.9}, user=query)

        doc, server = self.run_with(
            [
                chosen('Fix this Python', 'code_expert'),
                chosen('Research the latest', 'research_expert'),
                chosen('creative story', 'creative_expert'),
                says('programming', 'code: $user'),
                says('research', 'facts: $user'),
                says('creative writing', 'story: $user'),
            ],
            'advanced-agent-system/intelligent-router.yaml', 'queries',
        )
        self.assertEqual([text.split(':')[0] for text in doc['output']], ['code', 'facts', 'story'])
        self.assertEqual(doc['nodes']['each/intelligent_router[0]/choose']['output']['confidence'], 0.9)
        asked = [e['body'] for e in server.log if 'routing assistant' in json.dumps(e['body']['messages'][0])]
        self.assertEqual([body['temperature'] for body in asked], [0.1] * 3)

    def test_content_creation(self):
        def planned(after, **answer):
            return says('You are a planner', answer, user=after)

        doc, _ = self.run_with(
            [
                planned('Output from step 2', done=True, answer='the blog post'),
                planned('Output from step 1', done=False, agent='writer', instruction='Write it'),
                planned('Done so far', done=False, agent='researcher', instruction='Collect sources'),
                says('Research topics', 'sources'),
                says('Write clear', 'draft of $user'),
            ],
            'advanced-agent-system/content-creation.yaml', '-i', 'A post about quantum computing',
        )
        self.assertEqual(doc['text'], 'the blog post')
        self.assertIn('sources', doc['nodes']['step-2']['text'])

    def test_nested(self):
        """examples/nested.yaml on the wire: chain, parallel, reporter in one file."""
        shutil.copy(os.path.join(EXAMPLES, 'nested.yaml'), self.dir)
        doc, server = self.run_with(
            [says('reports', 'report on $user'), says('Combine', 'joined'), says('', 'x')],
            'nested.yaml', '-m', 'fast', '-i', 'Collect sales data for Q4 2024',
        )
        self.assertEqual((doc['text'], server.count), ('report on joined', 8))
        self.assertIn('model_ensemble/model_b', doc['nodes'])

    def test_approval(self):
        rules = [says('Say in one sentence', 'All records of 2019 go.'), says('Carry the plan out', 'done: $user')]
        for answer, status in (('yes', 'completed'), ('no', 'skipped')):
            with self.subTest(answer=answer):
                doc, server = self.run_with(
                    rules, 'advanced-agent-system/approval.yaml', 'approval', '-i', 'Delete 2019', code=4
                )
                self.tutti('gate', 'respond', doc['run'], answer, code=0)
                env = {'OPENAI_BASE_URL': server.url + '/v1'}
                doc = self.tutti('runs', 'resume', doc['run'], '--json', code=0, env=env).json
                self.assertEqual(doc['nodes']['execute']['status'], status)

    def test_error_recovery(self):
        doc, server = self.run_with(
            [
                {'match': {'system': 'Do the task', 'model': 'gpt-4o-mini'}, 'times': 2, 'fault': 503},
                {'match': {'system': 'Add what', 'model': 'gpt-4o-mini'}, 'fault': 503},
                {'match': {'system': 'Add what'}, 'reply': {'text': 'from the spare one'}},
            ],
            'advanced-agent-system/error-recovery.yaml', '-i', 'Summarize',
        )
        self.assertEqual((doc['status'], doc['nodes']['work']['attempts']), ('completed', 3))
        self.assertEqual(doc['nodes']['help']['text'], 'from the spare one')
        self.assertGreaterEqual(doc['nodes']['work']['duration_ms'], 3000)

    @needs_servers
    def test_connection_pool(self):
        folder = self.path('advanced-agent-system', 'data')
        doc, _ = self.run_with(
            [calls('filesystem__read_text_file', {'path': f'{folder}/{n}.txt'}, user=f'{n}.txt') for n in 'abc']
            + [{'match': {'after_tools': True}, 'reply': {'text': '$tool_result'}}],
            'advanced-agent-system/connection-pool.yaml',
        )
        self.assertIn('second', doc['output'][1])

    # ---- Advanced Agent Patterns -----------------------------------------------------------------
    def test_manager(self):
        path = 'agent-patterns/manager.yaml'
        rules = [says('You are a manager', {'type': 'coding'}), says('Implement', 'code')]
        doc, _ = self.run_with(rules, path, '-i', 'x')
        self.assertEqual((doc['text'], doc['nodes']['classify']['output']), ('code', {'type': 'coding'}))
        doc, server = self.run_with(
            [says('You are a manager', {'type': 'complex'}), says('', 'part of $n')], path, '-i', 'Build a login form'
        )
        self.assertEqual(list(doc['output']), ['research', 'coding', 'testing', 'documentation'])
        self.assertIn('Result of research', server.log[2]['user'])

    def test_peers(self):
        doc, _ = self.run_with(
            [
                says('colours', {'can_handle': False}, user='Can you handle'),
                says('', {'can_handle': True}, user='Can you handle'),
                says('Combine', 'whole: $user'),
                says('', 'an idea'),
            ],
            'agent-patterns/peers.yaml', '-i', 'Why is it slow?',
        )
        self.assertEqual(doc['text'].count('an idea'), 2)
        self.assertNotIn('design_agent', doc['nodes'])

    def test_pipeline(self):
        path, record = 'agent-patterns/pipeline.yaml', '{"name": "ada", "born": 1815}'
        doc, _ = self.run_with([says('known', {'name': 'ADA', 'known_for': 'programs'})], path, '-i', record)
        self.assertEqual(doc['nodes']['storage']['status'], 'completed')
        doc, _ = self.run_with([], path, '-i', '{"born": 1815}', code=1)
        self.assertIn("stage 'validation': its script: there is no name", doc['error'])

    def test_circuit_breaker(self):
        server = self.model()
        path, env = 'agent-patterns/circuit-breaker.yaml', {'API_URL': server.url + '/api'}
        done = self.tutti('run', path, '--json', env=env, code=1)
        self.assertEqual(sum('/status/503' in entry['path'] for entry in server.log), 5)
        self.assertIn('circuit breaker is open', json.dumps(done.json['nodes']))

    def test_retry(self):
        doc, _ = self.run_with(
            [{'match': {'user': '^x$'}, 'times': 1, 'fault': 500}], 'agent-patterns/retry.yaml', '-i', 'x'
        )
        self.assertEqual([node['attempts'] for node in doc['nodes'].values()], [2, 1])
        self.assertGreaterEqual(doc['nodes']['robust']['duration_ms'], 1900)

    def test_production_agent_system(self):
        doc, _ = self.run_with(
            [
                says('You are a manager', {'type': 'complex'}),
                {'match': {'system': 'Test an'}, 'times': 2, 'fault': 503},
                {'match': {'system': 'Document'}, 'fault': 400},
                says('', 'part'),
            ],
            'agent-patterns/production-agent-system.yaml', '-i', 'Build a login form',
        )
        self.assertEqual((doc['status'], list(doc['output'])), ('partial', ['research', 'coding', 'testing']))
        self.assertEqual(doc['nodes']['testing']['attempts'], 3)
        self.assertGreater(doc['usage']['cost_usd'], 0)

    # ---- Agent Orchestra -------------------------------------------------------------------------
    @needs_servers
    def test_simple_agent(self):
        folder = self.path('agent-orchestra', 'data')
        doc, _ = self.run_with(
            [calls('filesystem__list_directory', {'path': folder}), {'match': {}, 'reply': {'text': '$tool_result'}}],
            'agent-orchestra/simple-agent.yaml', '-i', 'List the files',
        )
        self.assertIn('[DIR] business', doc['text'])

    @needs_servers
    def test_production_workflow(self):
        data = self.path('agent-orchestra', 'data')
        doc, server = self.run_with(
            [
                calls('fs_business__read_text_file', {'path': f'{data}/business/{name}.json'}, user=f'{name}.json')
                for name in ('sales', 'marketing', 'operations')
            ]
            + [
                {'match': {'after_tools': True}, 'reply': {'text': '$tool_result'}},
                says('', 'trends', user='Analyze trends'),
                calls('web__browser_navigate', {'url': 'https://example.com'}),
                calls('fs_reports__write_file', {'path': f'{data}/reports/report.md', 'content': 'All is well.'}),
                {'match': {'user': 'Analyze trends'}, 'reply': {'text': 'trends'}},
            ],
            'agent-orchestra/production-workflow.yaml', '--run-id', 'business_analysis_001', '--goal', 'analysis',
        )
        self.assertEqual((doc['status'], doc['goal']), ('completed', 'analysis'))
        self.assertEqual(self.read('agent-orchestra', 'data', 'reports', 'report.md'), 'All is well.')
        self.assertEqual(doc['nodes']['market_research']['text'], 'page: https://example.com')
        self.assertEqual(doc['usage']['tool_calls'], 5)

    def test_basic_orchestration(self):
        path = 'agent-orchestra/basic-orchestration.yaml'
        doc, _ = self.run_with([says('paragraph', 'text of $user')], path, '-i', 'x')
        self.assertIn('[history]', doc['text'])
        self.assertIn('[today]', doc['text'])

    def test_foreach(self):
        doc, _ = self.run_with(
            [{'match': {'user': 'waves'}, 'fault': 400}],
            'agent-orchestra/foreach.yaml', '-i', 'topics=["tides", "currents", "waves"]',
        )
        self.assertEqual((doc['status'], doc['output']), ('partial', ['echo: 1: tides', 'echo: 2: currents', None]))

    def test_reduce(self):
        path = 'agent-orchestra/reduce.yaml'
        doc, server = self.run_with([says('minutes', 'minutes of $user')], path, '-i', 'We met')
        self.assertTrue(doc['text'].startswith('minutes of Write the minutes'))
        self.assertEqual(server.count, 4)

    def test_gate(self):
        for score, status in ((0.9, 'completed'), (0.5, 'skipped')):
            doc, _ = self.run_with([says('Rate', {'score': score})], 'agent-orchestra/gate.yaml', '-i', 'x')
            self.assertEqual((doc['status'], doc['nodes']['publish']['status']), ('completed', status))

    @needs_servers
    def test_multi_server(self):
        data = self.path('agent-orchestra', 'data')
        doc, server = self.run_with(
            [
                calls('fs_reports__list_directory', {'path': data + '/reports'}, user='Which reports'),
                calls('fs_sales__list_directory', {'path': data + '/business'}, user='Which files are'),
                {'match': {'after_tools': True}, 'reply': {'text': '$tool_result'}},
            ],
            'agent-orchestra/multi-server.yaml',
        )
        self.assertIn('sales.json', doc['nodes']['sales']['text'])
        self.assertIn('README.md', doc['nodes']['reports']['text'])
        offered = {tool['function']['name'].split('__')[0] for tool in server.log[-1]['body']['tools']}
        self.assertEqual(offered, {'fs_sales', 'fs_reports'})

    def test_rate_limiting(self):
        slow = {'match': {}, 'first_ms': 60, 'reply': {'text': 'yes'}}
        doc, server = self.run_with([slow], 'agent-orchestra/rate-limiting.yaml')
        self.assertEqual(doc['output'], ['yes'] * 6)
        self.assertEqual(server.stats()['in_flight_max'], 2)

    @needs_servers
    def test_agent_pooling(self):
        folder = self.path('agent-orchestra', 'data', 'business')
        doc, _ = self.run_with(
            [calls('fs_business__read_text_file', {'path': f'{folder}/{n}.json'}, user=f'Read {n}')
             for n in ('sales', 'marketing', 'operations')]
            + [{'match': {'after_tools': True}, 'reply': {'text': '$tool_result'}}],
            'agent-orchestra/agent-pooling.yaml',
        )
        self.assertIn('late', doc['nodes']['second']['text'])


class Drawings(Case):
    """examples/drawings has every workflow of every example as text and as mermaid; UPDATE=1 draws them anew."""

    def workflows(self, path):
        told = self.tutti('graph', path, 'no such workflow').err
        return re.findall(r"'([^']+)'", told.split('the file has')[1])

    def drawn(self):
        env = dict.fromkeys(('OPENAI_API_KEY', 'ANTHROPIC_API_KEY', 'API_URL', 'DATA_URL', 'OPENAI_CHAT_URL'), 'x')
        self.env.update(env)
        paths = glob.glob(os.path.join(EXAMPLES, '*.yaml')) + glob.glob(os.path.join(EXAMPLES, '*', '*.yaml'))
        for path in sorted(paths):
            base = os.path.basename(path).removesuffix('.yaml')
            if base in ('llm_config', 'workflow_config') or base.endswith('.test'):  # parts of others
                continue
            names = self.workflows(path)
            for name in names:
                for format, ending in (('text', 'txt'), ('mermaid', 'mmd')):
                    file = f'{base}.{ending}' if len(names) == 1 else f'{base}.{name}.{ending}'
                    yield file, self.tutti('graph', path, name, '--format', format, code=0).out

    def test_all(self):
        folder = os.path.join(EXAMPLES, 'drawings')
        seen = set()
        for file, text in self.drawn():
            path = os.path.join(folder, file)
            self.assertNotIn(file, seen, 'two examples of one name')
            seen.add(file)
            if os.environ.get('UPDATE'):
                os.makedirs(folder, exist_ok=True)
                with open(path, 'w', encoding='utf-8') as opened:
                    opened.write(text)
            with self.subTest(file=file), open(path, encoding='utf-8') as opened:
                self.assertEqual(opened.read(), text)
        self.assertEqual({name for name in os.listdir(folder) if name != 'README.md'}, seen)


if __name__ == '__main__':
    unittest.main()

"""What docs/language.md says, sentence by sentence where no other test does."""

import json
import unittest

from world import BASE, Case, SECRET

LUA = {'type': 'lua', 'script': 'return message'}
BAD = {'type': 'lua', 'script': 'error("bad")'}


class Language(Case):
    def go(self, text, *words, code=0):
        self.write('tutti.yaml', text if isinstance(text, str) else json.dumps(text))
        return self.tutti('run', 'tutti.yaml', *words, '-i', 'in', '--json', code=code).json

    def test_lists_or_maps(self):
        doc = self.go('''
profiles: [{name: p, provider: script}]
agents: [{name: a}, {name: b, type: lua, script: "return message .. '!'"}]
workflows: [{name: main, type: chain, sequence: [a, b]}]
''')
        self.assertEqual(doc['text'], 'in!')
        doc = self.go(
            {
                'agents': {'a': LUA},
                'workflows': {'w': {'nodes': {'x': {'agent': 'a'}, 'y': {'agent': 'a', 'depends_on': ['x']}}}},
            }
        )
        self.assertEqual(list(doc['nodes']), ['x', 'y'])

    def test_both_spellings_durations_anchors(self):
        for key, value in (('totalTimeout', '5m'), ('total_timeout', 300), ('timeout', '1.5'), ('timeout', '500ms')):
            self.go({'agents': {'a': LUA}, 'workflows': {'w': {'nodes': [{'id': 'x', 'agent': 'a', key: value}]}}})
        doc = self.go('''
agents:
  a: &a {type: lua, script: return message}
  b: {<<: *a, description: the same}
workflows: {w: {type: chain, sequence: [a, b]}}
''')
        self.assertEqual(doc['text'], 'in')

    def test_include_cards_and_pasted_servers(self):
        self.write('more.yaml', 'agents: {b: {type: lua, script: "return message .. 2"}}\n')
        self.write('.mcp.json', {'mcpServers': {'files': {'command': 'x', 'args': ['y'], 'alwaysAllow': ['read']}}})
        self.write('agents/critic.md', '---\ndescription: finds weak spots\n---\nYou are a critic.\n')
        text = '''
include: [more.yaml, .mcp.json]
profiles: {p: {provider: script, replies: [{match: "", text: "{{system}}|{{message}}"}]}}
workflows: {w: {type: chain, sequence: [critic, b]}}
'''
        self.assertEqual(self.go(text)['text'], 'You are a critic.|in2')
        self.write('more.yaml', 'profiles: {p: {provider: script}}\n')
        done = self.tutti('validate', 'tutti.yaml', code=3)
        self.assertIn('more.yaml', done.err)

    def test_chain_context_and_cumulative(self):
        agents = {'a': LUA, 'b': {'type': 'lua', 'script': 'return context.agent_1_output .. "+" .. message'}}
        self.assertEqual(
            self.go({'agents': agents, 'workflows': {'w': {'type': 'chain', 'sequence': ['a', 'b']}}})['text'],
            'in+in',
        )
        text = self.go(
            {
                'agents': {'a': LUA, 'c': LUA},
                'workflows': {'w': {'type': 'chain', 'cumulative': True, 'sequence': ['a', 'c']}},
            }
        )['text']
        self.assertEqual(text, 'in\n\n--- Response from a ---\nin')

    def test_parallel(self):
        agents = {'a': LUA, 'b': BAD, 'm': {'type': 'lua', 'script': 'return keys(context.parallel_results)'}}

        def go(code=0, **more):
            return self.go(
                {'agents': agents, 'workflows': {'w': dict({'type': 'parallel', 'fan_out': ['a', 'b']}, **more)}},
                code=code,
            )

        self.assertEqual(go()['status'], 'partial')
        self.assertEqual(go(fan_in='m')['output'], ['a'])
        self.assertEqual(
            go(fan_in='m', quorum=2, code=None)['nodes'].get('m', {}).get('status', 'skipped')
            in ('skipped', 'failed'),
            True,
        )
        self.assertEqual(go(failure_strategy='stop_on_first_failure', code=1)['status'], 'failed')

    def test_a_file_that_is_one_workflow(self):
        sleep = {'type': 'exec', 'command': ['sleep', '0.3'], 'effect': 'pure'}
        tasks = [{'name': name, 'agent_name': 'a'} for name in 'xyz']
        one = self.go({'name': 'mine', 'agents': {'a': sleep}, 'tasks': tasks})
        self.assertEqual(one['workflow'], 'mine')
        self.assertGreaterEqual(one['duration_ms'], 900)
        self.assertLess(
            self.go({'name': 'mine', 'parallel_execution': True, 'agents': {'a': sleep}, 'tasks': tasks})[
                'duration_ms'
            ],
            800,
        )

    def test_from_instruction_and_values(self):
        doc = self.go(
            {
                'agents': {'a': LUA, 'v': {'type': 'lua', 'script': 'return input'}},
                'workflows': {
                    'w': {
                        'nodes': [
                            {'id': 'x', 'agent': 'a', 'input': 'one'},
                            {'id': 'y', 'agent': 'a', 'input': 'two', 'depends_on': ['x']},
                            {'id': 'z', 'agent': 'a', 'from': ['x', 'y']},
                            {
                                'id': 'v',
                                'agent': 'v',
                                'input': {
                                    'n': '{{ 1 + 1 }}',
                                    't': '{{ steps.x.text }} and {{ run.name }}',
                                    'l': ['{{ null }}'],
                                },
                            },
                        ]
                    }
                },
            }
        )
        self.assertEqual(doc['nodes']['z']['text'], '[x]:\none\n\n[y]:\ntwo')
        self.assertEqual(doc['nodes']['v']['output'], {'n': 2, 't': 'one and w', 'l': [None]})

    def test_expressions(self):
        for text, value in (
            ("contains(input, 'n')", True),
            ("matches('abc', '^a.c$')", True),
            ("replace('a1', '[0-9]', 'x')", 'ax'),
            ("date('%Y', 0)", '1970'),
            ("split('a b')", ['a', 'b']),
            ("join({'a', 'b'}, '-')", 'a-b'),
            ("first({3, 4})", 3),
            ("default(inputs.nothing, 'd')", 'd'),
            ("upper(trim('  x '))", 'X'),
            ("json({a = 1})", '{"a":1}'),
            ("parse('[1, 2]')[2]", 2),
            ("1 != 2 && !(false || false)", True),
            ("round(2.6)", 3),
            ("string.rep('x', 3)", 'xxx'),
            ("math.floor(2.5)", 2),
            ("keys({b = 1, a = 2})", ['a', 'b']),
            ("len('äö')", 2),
        ):
            with self.subTest(text=text):
                doc = self.go(
                    {
                        'agents': {'v': {'type': 'lua', 'script': 'return {v = input}'}},
                        'workflows': {'w': {'nodes': [{'id': 'n', 'agent': 'v', 'input': {'v': '{{ %s }}' % text}}]}},
                    }
                )
                self.assertEqual(doc['output']['v']['v'], value)

    def test_profile_keys_and_providers(self):
        server = self.model()
        for provider in (
            'groq',
            'xai',
            'deepseek',
            'openrouter',
            'mistral',
            'together',
            'fireworks',
            'cerebras',
            'generic',
            'of-my-own',
        ):
            with self.subTest(provider=provider):
                doc = self.go(
                    {
                        'profiles': {
                            'p': {'provider': provider, 'model': 'm', 'base_url': server.url + '/v1', 'api_key': 'k'}
                        },
                        'agents': {'a': {}},
                        'workflows': {'w': {'type': 'chain', 'sequence': ['a']}},
                    }
                )
                self.assertEqual(doc['text'], 'echo: in')
        for provider in BASE:
            with self.subTest(reasoning=provider):
                self.go(
                    {
                        'profiles': {
                            'p': {
                                'provider': provider,
                                'model': 'm',
                                'base_url': server.url + BASE[provider],
                                'api_key': 'k',
                                'reasoning': 'low',
                                'max_tokens': 4000,
                            }
                        },
                        'agents': {'a': {}},
                        'workflows': {'w': {'type': 'chain', 'sequence': ['a']}},
                    }
                )

    def test_the_usual_variable_goes_to_the_usual_address_only(self):
        server = self.model()
        self.env['OPENAI_API_KEY'] = SECRET
        self.go(
            {
                'profiles': {
                    'p': {'provider': 'openai', 'model': 'm', 'base_url': server.url + '/v1', 'api_key': 'mine'}
                },
                'agents': {'a': {}},
                'workflows': {'w': {'type': 'chain', 'sequence': ['a']}},
            }
        )
        self.assertNotIn(SECRET, json.dumps(list(server.log)))

    def test_what_cannot_run_says_so(self):
        for agent, says in (
            ({'type': 'http', 'endpoint': 'http://127.0.0.1:9', 'authentication': {'type': 'oauth2'}}, 'oauth2'),
            ({'type': 'mcp', 'server': 'web'}, 'url'),
        ):
            with self.subTest(says=says):
                file = self.flow(
                    'tutti.yaml',
                    agents={'a': agent},
                    mcp_servers={'web': {'url': 'http://127.0.0.1:9/mcp'}},
                    workflows={'w': {'nodes': [{'id': 'x', 'agent': 'a', 'action': 'GET'}]}},
                )
                done = self.tutti('run', file, '-i', 'x')
                self.assertNotEqual(done.code, 0)
                self.assertIn(says, done.err)

    def test_keys_without_effect_are_told(self):
        """A port that nobody listens on, traces that nobody gets: the file must not look as if they were."""
        for top, key in (
            ({'settings': {'metrics_port': 9}}, 'metrics_port'),
            ({'settings': {'enable_tracing': True}}, 'enable_tracing'),
        ):
            with self.subTest(key=key):
                base = {'agents': {'a': LUA}, 'workflows': {'w': {'type': 'chain', 'sequence': ['a']}}}
                done = self.tutti('validate', self.flow('tutti.yaml', **dict(base, **top)))
                self.assertIn(key, done.err)

    def test_a_workflow_as_a_tool(self):
        doc = self.go(
            {
                'profiles': {
                    'p': {
                        'provider': 'script',
                        'replies': [
                            {
                                'match': '',
                                'turn': 0,
                                'tool_calls': [{'name': 'agent__flow', 'arguments': {'message': 'go'}}],
                            },
                            {'match': '', 'text': '{{last}}'},
                        ],
                    }
                },
                'agents': {'boss': {'agents': ['flow']}, 'a': {'type': 'lua', 'script': 'return "did " .. message'}},
                'workflows': {
                    'flow': {'type': 'chain', 'sequence': ['a']},
                    'main': {'type': 'chain', 'sequence': ['boss']},
                },
            }
        )
        self.assertEqual(doc['text'], 'did go')


if __name__ == '__main__':
    unittest.main()

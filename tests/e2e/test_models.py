"""Model providers on the wire: whole and streamed, tools, refusals, broken answers, cassettes, cost."""

import functools
import json
import os
import time
import unittest

from world import BASE, Case, SECRET, filesystem_server, needs_servers, wait_for

PROVIDERS = tuple(BASE)
TEXT = 'whole answer'
FAST = {'max_attempts': 4, 'initial_delay': 0.01, 'max_delay': 5}


class Models(Case):
    def setUp(self):
        super().setUp()
        self.env['MODEL_KEY'] = SECRET

    def one(self, server, provider='openai', agent=None, **profile):
        """A flow of one agent that asks this service."""
        return self.flow(
            profiles={'p': self.profile(server, provider, **profile)},
            default_profile='p',
            agents={'a': dict({'retry': FAST}, **(agent or {}))},
            workflows={'main': {'type': 'chain', 'sequence': ['a']}},
        )


def both(test):
    """The test once for each provider and way of answering."""

    @functools.wraps(test)
    def all_of_them(self):
        for provider in PROVIDERS:
            for stream in (False, True):
                with self.subTest(provider=provider, stream=stream):
                    test(self, provider, stream)

    return all_of_them


class Replies(Models):
    @both
    def test_each_provider_whole_and_streamed(self, provider, stream):
        server = self.model({'keys': [SECRET]})
        file = self.one(
            server, provider, agent={'instruction': 'Be an echo.'}, stream=stream, temperature=0.5, max_tokens=100
        )
        doc = self.run_ok(file, '-i', 'Grüße 👋, "world"')
        self.assertEqual(doc['text'], 'echo: Grüße 👋, "world"')
        self.assertGreater(doc['usage']['input_tokens'], 0)
        self.assertGreater(doc['usage']['output_tokens'], 0)
        seen = server.log[-1]
        self.assertEqual((seen['provider'], seen['status']), (provider, 200))
        self.assertIn('Be an echo.', json.dumps(seen['body']))

    def test_streaming_is_asked_for(self):
        server = self.model()
        self.run_ok(self.one(server, stream=True), '-i', 'x')
        self.assertTrue(server.log[-1]['stream'])

    def test_settings_reach_the_wire(self):
        server = self.model()
        self.run_ok(
            self.one(
                server,
                temperature=0.25,
                max_tokens=77,
                top_p=0.5,
                seed=3,
                stop=['END'],
                extra={'user': 'somebody'},
                system_prompt='From the profile.',
            ),
            '-i',
            'x',
        )
        body = server.log[-1]['body']
        self.assertEqual(
            (body['temperature'], body['top_p'], body['seed'], body['stop'], body['user']),
            (0.25, 0.5, 3, ['END'], 'somebody'),
        )
        self.assertEqual(body.get('max_tokens', body.get('max_completion_tokens')), 77)
        self.assertIn('From the profile.', json.dumps(body['messages']))

    def test_the_model_of_the_command_line(self):
        server = self.model()
        file = self.flow(
            profiles={'p': self.profile(server), 'q': self.profile(server, model='other-model')},
            default_profile='p',
            agents={'a': {'profile': 'p'}},
            workflows={'main': {'type': 'chain', 'sequence': ['a']}},
        )
        self.run_ok(file, '-i', 'x', '-m', 'q')
        self.assertEqual(server.log[-1]['model'], 'other-model')

    def test_structured_output_is_repaired(self):
        server = self.model(
            {
                'rules': [
                    {'match': {'turn': 0}, 'reply': {'text': 'Score: high'}},
                    {'match': {'turn': 1}, 'reply': {'text': '```json\n{"score": "high"}\n```'}},
                    {'reply': {'text': 'Here you are: {"score": 0.9}'}},
                ]
            }
        )
        schema = {'type': 'object', 'required': ['score'], 'properties': {'score': {'type': 'number'}}}
        doc = self.run_ok(self.one(server, agent={'output_schema': schema}), '-i', 'judge')
        self.assertEqual(doc['output'], {'score': 0.9})
        self.assertEqual(server.count, 3)

    def test_structured_output_gives_up(self):
        server = self.model({'default': {'text': 'no'}})
        done = self.tutti('run', self.one(server, agent={'output_schema': {'type': 'object'}}), '-i', 'x', code=1)
        self.assertIn('output_schema', done.err)
        self.assertEqual(server.count, 4)


@needs_servers
class Tools(Models):
    @both
    def test_a_tool_loop_with_the_real_filesystem_server(self, provider, stream):
        data = self.path(f'data-{provider}-{stream}')
        os.mkdir(data)
        with open(os.path.join(data, 'note.txt'), 'w', encoding='utf-8') as opened:
            opened.write('the password is swordfish')
        server = self.model(
            {
                'rules': [
                    {
                        'match': {'turn': 0, 'tools': 'files__read_text_file'},
                        'reply': {
                            'text': 'Let me look.',
                            'tool_calls': [
                                {
                                    'name': 'files__read_text_file',
                                    'arguments': {'path': os.path.join(data, 'note.txt')},
                                },
                                {'name': 'files__list_directory', 'arguments': {'path': data}},
                            ],
                        },
                    },
                    {'match': {'after_tools': True}, 'reply': {'text': 'It says: $tool_result'}},
                ]
            }
        )
        file = self.flow(
            profiles={'p': self.profile(server, provider, stream=stream)},
            default_profile='p',
            mcp_servers={'files': filesystem_server(data)},
            agents={'a': {'servers': ['files'], 'tools': {'allow': ['files.read_*', 'files.list_*']}}},
            workflows={'main': {'type': 'chain', 'sequence': ['a']}},
        )
        doc = self.run_ok(file, '-i', 'What is the password?')
        self.assertRegex(doc['text'], 'It says: ')
        self.assertEqual((doc['usage']['model_calls'], doc['usage']['tool_calls']), (2, 2))
        self.assertIn('swordfish', json.dumps(server.log[-1]['body']))
        self.assertIn('note.txt', json.dumps(server.log[-1]['body']))
        self.assertNotIn('files__write_file', server.log[-1]['tools'])
        self.assertEqual(server.log[-1]['stream'], stream)

    def test_a_tool_that_fails_is_told_to_the_model(self):
        server = self.model(
            {
                'rules': [
                    {
                        'match': {'turn': 0},
                        'reply': {
                            'tool_calls': [
                                {'name': 'files__read_text_file', 'arguments': {'path': '/etc/shadow'}},
                                {'name': 'no_such_tool', 'arguments': {}},
                                {'name': 'files__read_text_file', 'arguments': '{"path": '},
                            ]
                        },
                    },
                    {'reply': {'text': 'I could not.'}},
                ]
            }
        )
        file = self.flow(
            profiles={'p': self.profile(server)},
            default_profile='p',
            mcp_servers={'files': filesystem_server(self.dir)},
            agents={'a': {'servers': ['files']}},
            workflows={'main': {'type': 'chain', 'sequence': ['a']}},
        )
        self.assertEqual(self.run_ok(file, '-i', 'x')['text'], 'I could not.')
        results = server.log[-1]['tool_results']
        self.assertEqual(len(results), 3)
        self.assertIn('denied', results[0].lower())
        self.assertIn('no_such_tool', results[1])
        self.assertIn('JSON', results[2])

    def test_iterations_are_bounded(self):
        server = self.model(
            {'rules': [{'reply': {'tool_calls': [{'name': 'files__list_directory', 'arguments': {'path': '.'}}]}}]}
        )
        file = self.flow(
            profiles={'p': self.profile(server)},
            default_profile='p',
            mcp_servers={'files': filesystem_server(self.dir)},
            agents={'a': {'servers': ['files'], 'max_iterations': 3}},
            workflows={'main': {'type': 'chain', 'sequence': ['a']}},
        )
        done = self.tutti('run', file, '-i', 'x', code=1)
        self.assertIn('max_iterations', done.err)
        self.assertEqual(server.count, 3)


class AgentsAsTools(Models):
    def test_an_agent_asks_another(self):
        server = self.model(
            {
                'rules': [
                    {
                        'match': {'system': 'boss', 'after_tools': False, 'tools': 'agent__clerk'},
                        'reply': {
                            'tool_calls': [{'name': 'agent__clerk', 'arguments': {'message': 'count the pens'}}]
                        },
                    },
                    {'match': {'system': 'clerk'}, 'reply': {'text': 'There are seven.'}},
                    {'match': {'after_tools': True}, 'reply': {'text': 'The clerk says: $tool_result'}},
                ]
            }
        )
        file = self.flow(
            profiles={'p': self.profile(server)},
            default_profile='p',
            agents={
                'boss': {'instruction': 'You are the boss.', 'agents': ['clerk']},
                'clerk': {'instruction': 'You are the clerk.', 'description': 'counts things'},
            },
            workflows={'main': {'type': 'chain', 'sequence': ['boss']}},
        )
        self.assertEqual(self.run_ok(file, '-i', 'How many pens?')['text'], 'The clerk says: There are seven.')
        self.assertEqual(server.count, 3)


class Refusals(Models):
    @both
    def test_retry_after_is_obeyed(self, provider, stream):
        server = self.model(
            {'rules': [{'fault': {'status': 429, 'retry_after': 1, 'times': 1}, 'reply': {'text': 'now'}}]}
        )
        doc = self.run_ok(self.one(server, provider, stream=stream), '-i', 'x')
        self.assertEqual((doc['text'], doc['nodes']['a']['attempts']), ('now', 2))
        self.assertGreaterEqual(doc['duration_ms'], 1000)
        self.assertLess(doc['duration_ms'], 2500)

    @both
    def test_what_passes_is_tried_again(self, provider, stream):
        for kind in (
            {'status': 500},
            {'status': 502},
            {'status': 529},
            {'kind': 'overloaded'},
            {'kind': 'reset'},
            {'kind': 'drop'},
            {'kind': 'malformed', 'after': 3},
            {'kind': 'empty'},
            {'kind': 'content_type'},
            {'kind': 'late_error'},
            {'kind': 'no_end'},
        ):
            with self.subTest(kind=kind):
                if kind.get('kind') == 'no_end' and (not stream or provider == 'openai'):
                    continue  # the last piece of OpenAI is "[DONE]", which many servers leave out
                server = self.model({'chunk': 3, 'rules': [{'fault': dict(kind, times=2), 'reply': {'text': TEXT}}]})
                doc = self.run_ok(self.one(server, provider, stream=stream), '-i', 'x')
                self.assertEqual((doc['text'], doc['nodes']['a']['attempts'], server.count), (TEXT, 3, 3))

    def test_what_does_not_pass_is_not(self):
        for status, says in ((400, '400'), (401, 'key'), (403, '403'), (404, '404')):
            with self.subTest(status=status):
                server = self.model({'rules': [{'fault': {'status': status}}]})
                done = self.tutti('run', self.one(server), '-i', 'x', code=1)
                self.assertIn(says, done.err)
                self.assertEqual(server.count, 1)
                self.assert_nowhere(SECRET, done)

    @both
    def test_the_wrong_key_is_named_not_shown(self, provider, stream):
        if provider == 'ollama':
            return
        server = self.model({'keys': ['right']})
        done = self.tutti('run', self.one(server, provider, stream=stream), '-i', 'x', code=1)
        self.assertIn('key', done.err)
        self.assert_nowhere(SECRET, done)

    def test_nobody_there(self):
        server = self.model()
        file = self.one(server)
        url = server.url
        server.stop()
        server.server_close()
        done = self.tutti('run', file, '-i', 'x', code=1)
        self.assertIn(url[7:], done.err)

    def test_a_slow_call_has_a_second_beside_it(self):
        fault = {'kind': 'hang', 'ms': 20000, 'times': 1}
        server = self.model({'rules': [{'fault': fault, 'reply': {'text': 'second'}}]})
        file = self.flow(
            'tutti.json',
            profiles={'p': self.profile(server)},
            agents={'a': {'hedge': {'after': '200ms'}}},
            workflows={'main': {'type': 'chain', 'sequence': ['a']}},
        )
        done = self.tutti('run', file, '-i', 'x', '--json', code=0)
        self.assertEqual(done.json['text'], 'second')
        self.assertLess(done.seconds, 10)
        self.assertEqual(done.json['usage']['model_calls'], 2)
        self.assertIsNone(done.json['usage']['cost_usd'])
        self.assertEqual(len(server.log), 2)

    def test_no_answer_in_time(self):
        server = self.model({'rules': [{'fault': {'kind': 'hang', 'times': 1}, 'reply': {'text': 'awake'}}]})
        doc = self.run_ok(self.one(server, agent={'timeout': '300ms'}), '-i', 'x')
        self.assertEqual((doc['text'], doc['nodes']['a']['attempts']), ('awake', 2))

    @both
    def test_too_long_goes_to_the_fallback(self, provider, stream):
        server = self.model(
            {
                'rules': [
                    {'match': {'model': 'm-1'}, 'fault': {'kind': 'context'}},
                    {'match': {'model': 'long'}, 'reply': {'text': 'by the long one'}},
                ]
            }
        )
        file = self.flow(
            profiles={
                'p': self.profile(server, provider, stream=stream, fallbacks=['q']),
                'q': self.profile(server, provider, model='long', stream=stream),
            },
            default_profile='p',
            agents={'a': {'retry': FAST}},
            workflows={'main': {'type': 'chain', 'sequence': ['a']}},
        )
        doc = self.run_ok(file, '-i', 'x')
        self.assertEqual((doc['text'], server.count), ('by the long one', 2))

    def test_inline_fallback_and_its_place_in_the_journal(self):
        server = self.model({'rules': [{'match': {'model': 'm-1'}, 'fault': {'status': 500}}]})
        file = self.one(
            server,
            agent={'retry': {'max_attempts': 1}},
            fallbacks=[
                {'provider': 'openai', 'model': 'spare', 'base_url': server.url + '/v1', 'api_key': '${MODEL_KEY}'}
            ],
        )
        doc = self.run_ok(file, '-i', 'x')
        self.assertEqual(doc['text'], 'echo: x')
        log = self.tutti('runs', 'logs', doc['run'], code=0).out
        self.assertIn('openai:spare', log)

    def test_the_fallback_of_a_server_that_is_away(self):
        server = self.model()
        file = self.flow(
            profiles={
                'p': {
                    'provider': 'openai',
                    'model': 'm',
                    'api_key': 'k',
                    'base_url': 'http://127.0.0.1:9/v1',
                    'fallbacks': ['q'],
                },
                'q': self.profile(server),
            },
            default_profile='p',
            agents={'a': {'retry': {'max_attempts': 2, 'initial_delay': 0.01}}},
            workflows={'main': {'type': 'chain', 'sequence': ['a']}},
        )
        self.assertEqual(self.run_ok(file, '-i', 'x')['text'], 'echo: x')

    def test_a_very_long_answer_is_cut_off_not_swallowed(self):
        server = self.model({'rules': [{'fault': {'kind': 'big', 'bytes': 80000000}}]})
        done = self.tutti('run', self.one(server, agent={'retry': {'max_attempts': 1}}), '-i', 'x')
        self.assertEqual(done.code, 1, done.err[-500:])


class Cassettes(Models):
    def test_record_then_replay_without_the_service(self):
        server = self.model()
        file = self.one(server)
        first = self.run_ok(file, '-i', 'sing', '--record', 'tape.jsonl')
        self.assertNotIn(SECRET, self.read('tape.jsonl'))
        server.stop()
        server.server_close()
        again = self.run_ok(file, '-i', 'sing', '--replay', 'tape.jsonl', env={'MODEL_KEY': 'another'})
        self.assertEqual(again['text'], first['text'])

    def test_a_miss_is_loud(self):
        server = self.model()
        file = self.one(server)
        self.run_ok(file, '-i', 'sing', '--record', 'tape.jsonl')
        calls = server.count
        done = self.tutti('run', file, '-i', 'dance', '--replay', 'tape.jsonl', code=1)
        self.assertIn('tape.jsonl', done.err)
        self.assertEqual(server.count, calls)

    def test_no_tape(self):
        done = self.tutti('run', self.one(self.model()), '-i', 'x', '--replay', 'nothing.jsonl')
        self.assertIn(done.code, (1, 2))
        self.assertIn('nothing.jsonl', done.err)


class Cost(Models):
    USAGE = {'input': 1000000, 'output': 100000, 'cached': 400000}

    def cost(self, provider, price, stream=False):
        server = self.model({'default': {'text': 'x', 'usage': self.USAGE}})
        return self.run_ok(self.one(server, provider, stream=stream, price=price), '-i', 'x')['usage']

    @both
    def test_cached_tokens_are_billed_once(self, provider, stream):
        if provider == 'ollama':
            return
        usage = self.cost(provider, {'input': 1.0, 'cached_input': 0.1, 'output': 10.0}, stream)
        total = usage['input_tokens']
        cached = usage['cached_tokens']
        self.assertEqual(cached, 400000)
        fresh = total - cached
        self.assertAlmostEqual(usage['cost_usd'], (fresh * 1.0 + cached * 0.1 + 100000 * 10.0) / 1e6, places=6)
        self.assertIn(total, (1000000, 1400000), 'input includes what was cached, once')

    def test_unknown_stays_unknown(self):
        self.assertIsNone(self.cost('openai', {})['cost_usd'])

    def test_prices_by_model(self):
        server = self.model({'default': {'text': 'x', 'usage': {'input': 1000000, 'output': 0}}})
        file = self.flow(
            profiles={'p': self.profile(server)},
            default_profile='p',
            agents={'a': {}},
            price={'openai:m-1': {'input': 2.5, 'output': 1}},
            workflows={'main': {'type': 'chain', 'sequence': ['a']}},
        )
        doc = self.run_ok(file, '-i', 'x')
        self.assertAlmostEqual(doc['usage']['cost_usd'], 2.5)
        self.assertIn('$2.5', self.tutti('runs', 'show', doc['run'], code=0).out)


if __name__ == '__main__':
    unittest.main()

#!/usr/bin/env python3
"""The fakes are themselves tested: a fake that is too kind lets a wrong client pass.

Run: python3 tests/fake/test_fakes.py (about two seconds, standard library only).
"""

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import ledger  # noqa: E402
import llm_server  # noqa: E402

TOOL = {'type': 'function', 'function': {'name': 'look', 'parameters': {'type': 'object'}}}
A_TOOL = {'name': 'look', 'input_schema': {'type': 'object'}}
CALL = {'id': 'c1', 'type': 'function', 'function': {'name': 'look', 'arguments': '{}'}}
USE = {'type': 'tool_use', 'id': 't1', 'name': 'look', 'input': {}}
RESULT = {'type': 'tool_result', 'tool_use_id': 't1', 'content': 'seen'}
PATHS = {
    'openai': '/v1/chat/completions',
    'anthropic': '/v1/messages',
    'ollama': '/api/chat',
    'gemini': '/v1beta/models/g:generateContent',
}
HEADERS = {
    'openai': {'Authorization': 'Bearer k'},
    'anthropic': {'x-api-key': 'k', 'anthropic-version': '2023-06-01'},
    'ollama': {},
    'gemini': {'x-goog-api-key': 'k'},
}


def user(text='hi'):
    return {'role': 'user', 'content': text}


def request_of(provider, text='hi', **extra):
    if provider == 'gemini':
        return dict({'contents': [{'role': 'user', 'parts': [{'text': text}]}]}, **extra)
    body = {'model': 'm', 'messages': [user(text)]}
    if provider == 'anthropic':
        body['max_tokens'] = 100
    if provider == 'ollama':
        body['stream'] = False
    return dict(body, **extra)


def reply_text(provider, value):
    """The text of a whole reply."""
    if provider == 'openai':
        return value['choices'][0]['message']['content']
    if provider == 'anthropic':
        return ''.join(block.get('text', '') for block in value['content'])
    if provider == 'ollama':
        return value['message']['content']
    return ''.join(part.get('text', '') for part in value['candidates'][0]['content']['parts'])


def events(raw):
    """(event, value) of server-sent events; the value stays text when it is not JSON."""
    out = []
    for block in raw.decode().split('\n\n'):
        fields = dict(line.split(': ', 1) for line in block.split('\n') if ': ' in line)
        if 'data' in fields:
            try:
                out.append((fields.get('event'), json.loads(fields['data'])))
            except ValueError:
                out.append((fields.get('event'), fields['data']))
    return out


class Fake(unittest.TestCase):
    def start(self, script=None, **options):
        server = llm_server.Server(0, script, **options)
        thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True)
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.stop)
        self.port = server.server_address[1]
        return server

    def ask(self, path, body=None, headers=None, method=None):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=5)
        self.addCleanup(connection.close)
        data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        connection.request(method or ('GET' if body is None else 'POST'), path, data, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def chat(self, provider, body, headers=None, path=None):
        status, fields, raw = self.ask(
            path or PATHS[provider], body, HEADERS[provider] if headers is None else headers
        )
        return status, fields, json.loads(raw)

    def texts(self, count, provider='openai', text='hi'):
        return [reply_text(provider, self.chat(provider, request_of(provider, text))[2]) for _ in range(count)]


class Whole(Fake):
    def test_every_service_echoes_and_counts(self):
        self.start()
        for provider in PATHS:
            with self.subTest(provider):
                status, _, value = self.chat(provider, request_of(provider, 'good day'))
                self.assertEqual((status, reply_text(provider, value)), (200, 'echo: good day'))
        stats = json.loads(self.ask('/_stats')[2])
        self.assertEqual((stats['requests'], stats['by_provider']), (4, {name: 1 for name in PATHS}))

    def test_usage_in_each_form(self):
        self.start({'default': {'text': 'x', 'usage': {'input': 10, 'output': 3, 'cached': 4}}})
        value = {name: self.chat(name, request_of(name))[2] for name in PATHS}
        self.assertEqual(value['openai']['usage']['total_tokens'], 13)
        self.assertEqual(value['openai']['usage']['prompt_tokens_details']['cached_tokens'], 4)
        self.assertEqual(
            (value['anthropic']['usage']['input_tokens'], value['anthropic']['usage']['cache_read_input_tokens']),
            (6, 4),
        )
        self.assertEqual((value['ollama']['prompt_eval_count'], value['ollama']['eval_count']), (10, 3))
        self.assertEqual(value['gemini']['usageMetadata']['totalTokenCount'], 13)

    def test_tool_calls_in_each_form(self):
        self.start({'default': {'tool_calls': [{'name': 'look', 'arguments': {'at': '$user'}}]}})
        value = {name: self.chat(name, request_of(name, 'sky'))[2] for name in PATHS}
        choice = value['openai']['choices'][0]
        self.assertEqual((choice['finish_reason'], choice['message']['content']), ('tool_calls', None))
        self.assertEqual(json.loads(choice['message']['tool_calls'][0]['function']['arguments']), {'at': 'sky'})
        self.assertEqual(value['anthropic']['stop_reason'], 'tool_use')
        self.assertEqual(value['anthropic']['content'][0]['input'], {'at': 'sky'})
        self.assertEqual(value['ollama']['message']['tool_calls'][0]['function']['arguments'], {'at': 'sky'})
        part = value['gemini']['candidates'][0]['content']['parts'][0]
        self.assertEqual(part['functionCall'], {'name': 'look', 'args': {'at': 'sky'}})

    def test_lists(self):
        self.start({'models': ['one', 'two']})
        self.assertEqual([m['id'] for m in json.loads(self.ask('/v1/models')[2])['data']], ['one', 'two'])
        self.assertEqual([m['name'] for m in json.loads(self.ask('/api/tags')[2])['models']], ['one', 'two'])
        self.assertIn('version', json.loads(self.ask('/api/version')[2]))
        status, _, value = self.chat('openai', request_of('openai'))
        self.assertEqual((status, value['error']['code']), (404, 'model_not_found'))


class Streams(Fake):
    def raw(self, provider, body, path=None):
        status, fields, raw = self.ask(path or PATHS[provider], body, HEADERS[provider])
        self.assertEqual(status, 200)
        return fields['Content-Type'], raw

    def test_openai(self):
        self.start(
            {'default': {'text': 'one two three four', 'tool_calls': [{'name': 'look', 'arguments': {'a': 1}}]}}
        )
        kind, raw = self.raw('openai', request_of('openai', stream=True, stream_options={'include_usage': True}))
        got = [value for _, value in events(raw)]
        self.assertEqual((kind, got[-1]), ('text/event-stream', '[DONE]'))
        self.assertEqual(got[-2]['choices'], [])
        self.assertEqual(set(got[-2]['usage']) >= {'prompt_tokens', 'completion_tokens'}, True)
        self.assertEqual([chunk['usage'] for chunk in got[:-2]], [None] * (len(got) - 2))
        deltas = [chunk['choices'][0]['delta'] for chunk in got[:-2]]
        self.assertEqual(''.join(delta.get('content') or '' for delta in deltas), 'one two three four')
        calls = [delta['tool_calls'][0] for delta in deltas if 'tool_calls' in delta]
        self.assertEqual((calls[0]['function']['name'], calls[0]['index']), ('look', 0))
        self.assertEqual(json.loads(''.join(call['function']['arguments'] for call in calls)), {'a': 1})
        self.assertEqual(got[-3]['choices'][0]['finish_reason'], 'tool_calls')

    def test_openai_without_usage(self):
        self.start()
        _, raw = self.raw('openai', request_of('openai', stream=True))
        self.assertTrue(all('usage' not in value for _, value in events(raw)[:-1]))

    def test_anthropic(self):
        self.start(
            {
                'default': {
                    'thinking': 'hm',
                    'text': 'a longer text than one piece',
                    'tool_calls': [{'name': 'look', 'arguments': {'a': 1}}],
                }
            }
        )
        _, raw = self.raw('anthropic', request_of('anthropic', stream=True))
        got = events(raw)
        self.assertTrue(all(name == value['type'] for name, value in got))
        self.assertEqual(
            [got[0][0], got[1][0], got[2][0], got[-2][0], got[-1][0]],
            ['message_start', 'content_block_start', 'ping', 'message_delta', 'message_stop'],
        )
        deltas = [value['delta'] for name, value in got if name == 'content_block_delta']
        self.assertEqual(''.join(delta.get('text', '') for delta in deltas), 'a longer text than one piece')
        self.assertEqual(json.loads(''.join(delta.get('partial_json', '') for delta in deltas)), {'a': 1})
        self.assertEqual(
            {delta['type'] for delta in deltas},
            {'thinking_delta', 'signature_delta', 'text_delta', 'input_json_delta'},
        )
        self.assertEqual(got[-2][1]['delta']['stop_reason'], 'tool_use')
        starts = [value['content_block']['type'] for name, value in got if name == 'content_block_start']
        self.assertEqual(starts, ['thinking', 'text', 'tool_use'])

    def test_ollama(self):
        self.start({'default': {'text': 'word after word after word'}})
        body = request_of('ollama')
        del body['stream']  # streaming is what it does unless told otherwise
        kind, raw = self.raw('ollama', body)
        lines = [json.loads(line) for line in raw.splitlines()]
        self.assertEqual(kind, 'application/x-ndjson')
        self.assertEqual([line['done'] for line in lines], [False] * (len(lines) - 1) + [True])
        self.assertEqual(''.join(line['message']['content'] for line in lines), 'word after word after word')
        self.assertEqual(lines[-1]['done_reason'], 'stop')

    def test_gemini(self):
        self.start({'default': {'text': 'word after word after word'}})
        path = '/v1beta/models/g:streamGenerateContent'
        kind, raw = self.raw('gemini', request_of('gemini'), path + '?alt=sse')
        got = [value for _, value in events(raw)]
        self.assertEqual(kind, 'text/event-stream')
        self.assertEqual(''.join(reply_text('gemini', value) for value in got), 'word after word after word')
        self.assertEqual(
            ['finishReason' in value['candidates'][0] for value in got], [False] * (len(got) - 1) + [True]
        )
        kind, raw = self.raw('gemini', request_of('gemini'), path)
        self.assertEqual(''.join(reply_text('gemini', v) for v in json.loads(raw)), 'word after word after word')


class Strictness(Fake):
    def check(self, provider, rows):
        self.start({'keys': ['k']})
        for want, extra in rows:
            with self.subTest(provider=provider, want=want):
                status, _, value = self.chat(provider, request_of(provider, **extra))
                text = json.dumps(value)
                self.assertEqual(status, 200 if want is None else 400, text)
                if want:
                    self.assertIn(want, text)

    def test_openai(self):
        answer = {'role': 'tool', 'tool_call_id': 'c1', 'content': 'seen'}
        calls = {'role': 'assistant', 'content': None, 'tool_calls': [CALL]}
        self.check(
            'openai',
            [
                (None, {'temperature': 0.5, 'tools': [TOOL]}),
                (None, {'messages': [user(), calls, answer], 'tools': [TOOL]}),
                ('unknown_parameter', {'max_token': 5}),
                ('stream_options', {'stream_options': {'include_usage': True}}),
                ('decimal_out_of_range', {'temperature': 3}),
                ('invalid_type', {'temperature': 'warm'}),
                ('unsupported_parameter', {'model': 'o3', 'max_tokens': 5}),
                ('empty_array', {'messages': []}),
                ('empty_array', {'tools': []}),
                ('did not have response messages: c1', {'messages': [user(), calls]}),
                ('did not have response messages: c1', {'messages': [user(), calls, user('more')]}),
                ('must be a response', {'messages': [user(), answer]}),
                ('must be a response', {'messages': [user(), calls, dict(answer, tool_call_id='c2')]}),
                ('got null', {'messages': [{'role': 'user', 'content': None}]}),
                ('Invalid value', {'messages': [{'role': 'robot', 'content': 'x'}]}),
                ('does not match pattern', {'tools': [{'type': 'function', 'function': {'name': 'a b'}}]}),
                (
                    'expected a string',
                    {
                        'messages': [
                            user(),
                            dict(calls, tool_calls=[dict(CALL, function={'name': 'look', 'arguments': {}})]),
                            answer,
                        ]
                    },
                ),
                ("contain the word 'json'", {'response_format': {'type': 'json_object'}}),
                ('json_schema.name', {'response_format': {'type': 'json_schema', 'json_schema': {}}}),
                ('tool_choice', {'tool_choice': 'auto'}),
            ],
        )

    def test_anthropic(self):
        use = {'role': 'assistant', 'content': [USE]}
        self.check(
            'anthropic',
            [
                (None, {'tools': [A_TOOL], 'system': 'be brief'}),
                (None, {'messages': [user(), use, user([RESULT])], 'tools': [A_TOOL]}),
                ('Extra inputs', {'frequency_penalty': 1}),
                ('at least one', {'messages': []}),
                ('range: 0..1', {'temperature': 1.5}),
                ('first message', {'messages': [{'role': 'assistant', 'content': 'x'}]}),
                ('roles must alternate', {'messages': [user(), user()]}),
                ('top-level `system`', {'messages': [{'role': 'system', 'content': 'x'}]}),
                ('t1', {'messages': [user(), use]}),
                ('without `tool_result`', {'messages': [user(), use, user('no')]}),
                ('unexpected `tool_use_id`', {'messages': [user([RESULT])]}),
                ('must come first', {'messages': [user(), use, user([{'type': 'text', 'text': 'a'}, RESULT])]}),
                ('non-empty', {'messages': [user('')]}),
                ('trailing whitespace', {'messages': [user(), {'role': 'assistant', 'content': 'so '}]}),
                ('input_schema', {'tools': [{'name': 'look'}]}),
                ('valid integer', {'max_tokens': '5'}),
            ],
        )

    def test_anthropic_needs_max_tokens_and_version(self):
        self.start()
        body = request_of('anthropic')
        del body['max_tokens']
        self.assertIn('max_tokens: Field required', self.chat('anthropic', body)[2]['error']['message'])
        status, _, value = self.chat('anthropic', request_of('anthropic'), {'x-api-key': 'k'})
        self.assertEqual((status, value['type'], value['error']['type']), (400, 'error', 'invalid_request_error'))

    def test_ollama(self):
        call = {'function': {'name': 'look', 'arguments': '{}'}}
        self.check(
            'ollama',
            [
                (None, {'max_tokens': 5}),  # what it does not know it ignores
                ('invalid role', {'messages': [{'role': 'developer', 'content': 'x'}]}),
                ('model is required', {'model': ''}),
                ('arguments', {'messages': [user(), {'role': 'assistant', 'content': '', 'tool_calls': [call]}]}),
            ],
        )

    def test_gemini(self):
        asks = {'role': 'model', 'parts': [{'functionCall': {'name': 'look', 'args': {}}}]}
        says = {'role': 'user', 'parts': [{'functionResponse': {'name': 'look', 'response': {'a': 1}}}]}
        first = {'role': 'user', 'parts': [{'text': 'hi'}]}
        self.check(
            'gemini',
            [
                (None, {'generationConfig': {'maxOutputTokens': 5}}),
                (None, {'generation_config': {'max_output_tokens': 5}}),
                (None, {'contents': [first, asks, says]}),
                ('Unknown name \\"max_tokens\\"', {'max_tokens': 5}),
                ('generation_config', {'generationConfig': {'max': 5}}),
                ('not specified', {'contents': []}),
                ('valid role', {'contents': [{'role': 'assistant', 'parts': [{'text': 'x'}]}]}),
                ('must not be empty', {'contents': [{'role': 'user', 'parts': []}]}),
                ('number of function response', {'contents': [first, asks, first]}),
                ('comes immediately', {'contents': [first, asks]}),
                ('required oneof', {'contents': [{'role': 'user', 'parts': [{}]}]}),
            ],
        )

    def test_keys(self):
        self.start({'keys': ['right']})
        rows = [
            ('openai', {}, 401),
            ('openai', {'Authorization': 'Bearer wrong'}, 401),
            ('openai', {'Authorization': 'Bearer right'}, 200),
            ('anthropic', {}, 401),
            ('anthropic', {'x-api-key': 'wrong'}, 401),
            ('anthropic', {'x-api-key': 'right', 'anthropic-version': '2023-06-01'}, 200),
            ('ollama', {}, 200),
            ('gemini', {}, 403),
            ('gemini', {'x-goog-api-key': 'wrong'}, 400),
            ('gemini', {'x-goog-api-key': 'right'}, 200),
        ]
        for provider, headers, want in rows:
            with self.subTest(provider=provider, headers=headers):
                self.assertEqual(self.chat(provider, request_of(provider), headers)[0], want)

    def test_broken_json(self):
        self.start()
        for provider in PATHS:
            self.assertEqual(self.chat(provider, b'{"model":')[0], 400, provider)

    def test_context(self):
        self.start({'context_tokens': 10})
        words = {
            'openai': 'context_length_exceeded',
            'anthropic': 'prompt is too long',
            'ollama': 'context length',
            'gemini': 'input token count',
        }
        for provider, want in words.items():
            status, _, value = self.chat(provider, request_of(provider, 'long ' * 50))
            self.assertEqual((status, want in json.dumps(value)), (400, True), provider)


class Rules(Fake):
    def test_matching(self):
        self.start(
            {
                'rules': [
                    {'match': {'user': '^bye'}, 'reply': {'text': 'by user'}},
                    {'match': {'model': 'big-*'}, 'reply': {'text': 'by model'}},
                    {'match': {'provider': 'gemini'}, 'reply': {'text': 'by provider'}},
                    {'match': {'tools': 'look', 'after_tools': False}, 'reply': {'tool_calls': [{'name': 'look'}]}},
                    {'match': {'tool_result': 'rain'}, 'reply': {'text': 'umbrella: $tool_result'}},
                    {'match': {'header': {'X-Run': '^7$'}}, 'reply': {'json': {'by': 'header'}}},
                ]
            }
        )
        self.assertEqual(self.texts(1, text='bye bye'), ['by user'])
        self.assertEqual(
            reply_text('openai', self.chat('openai', request_of('openai', model='big-1'))[2]), 'by model'
        )
        self.assertEqual(self.texts(1, 'gemini'), ['by provider'])
        value = self.chat('openai', request_of('openai', tools=[TOOL]))[2]
        call = value['choices'][0]['message']['tool_calls'][0]
        after = [
            user(),
            value['choices'][0]['message'],
            {'role': 'tool', 'tool_call_id': call['id'], 'content': 'heavy rain'},
        ]
        for message in after:
            for key in ('refusal', 'annotations'):
                message.pop(key, None)
        value = self.chat('openai', request_of('openai', messages=after, tools=[TOOL]))[2]
        self.assertEqual(reply_text('openai', value), 'umbrella: heavy rain')
        value = self.chat('openai', request_of('openai'), dict(HEADERS['openai'], **{'X-Run': '7'}))[2]
        self.assertEqual(json.loads(reply_text('openai', value)), {'by': 'header'})

    def test_times_and_sequences(self):
        self.start({'rules': [{'times': 2, 'reply': {'text': 'early'}}, {'replies': [{'text': 'a'}, {'text': 'b'}]}]})
        self.assertEqual(self.texts(5), ['early', 'early', 'a', 'b', 'b'])
        self.ask('/_reset', {})
        self.assertEqual(self.texts(1), ['early'])

    def test_strict_and_bad_scripts(self):
        self.start({'strict': True, 'rules': [{'match': {'user': 'x'}, 'reply': {'text': 'y'}}]})
        self.assertEqual(self.chat('openai', request_of('openai'))[0], 500)
        for bad in (
            {'rule': []},
            {'rules': [{'match': {'usr': 'x'}}]},
            {'rules': [{'fault': 'sleepy'}]},
            {'rules': [{'reply': {'txt': 'x'}}]},
        ):
            self.assertEqual(self.ask('/_script', bad)[0], 400, bad)
        self.assertEqual(self.ask('/_script', {'default': {'text': 'new'}})[0], 200)
        self.assertEqual(self.texts(1), ['new'])

    def test_log(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'log')
            self.start(log=path)
            self.texts(2, text='logged')
            self.ask('/_stats')
            deadline = time.monotonic() + 2
            while len(open(path).readlines()) < 2 and time.monotonic() < deadline:
                self.ask('/_stats')
            # It logs after it has answered: two requests at once may be logged in either order.
            lines = sorted((json.loads(line) for line in open(path)), key=lambda line: line['n'])
        self.assertEqual(
            [(line['n'], line['user'], line['status']) for line in lines], [(1, 'logged', 200), (2, 'logged', 200)]
        )
        self.assertEqual(lines[0]['body']['model'], 'm')


class Faults(Fake):
    def test_429_twice_then_fine(self):
        self.start({'rules': [{'fault': {'status': 429, 'retry_after': 1, 'times': 2}, 'reply': {'text': 'ok'}}]})
        got = [self.chat('openai', request_of('openai')) for _ in range(3)]
        self.assertEqual([status for status, _, _ in got], [429, 429, 200])
        self.assertEqual(got[0][1]['Retry-After'], '1')
        self.assertEqual(got[0][2]['error']['code'], 'rate_limit_exceeded')

    def test_error_shapes(self):
        rows = [
            ('openai', 500, ('error', 'type'), 'server_error'),
            ('anthropic', 529, ('error', 'type'), 'overloaded_error'),
            ('gemini', 503, ('error', 'status'), 'UNAVAILABLE'),
            ('gemini', 429, ('error', 'status'), 'RESOURCE_EXHAUSTED'),
        ]
        self.start()
        for provider, status, place, want in rows:
            self.ask('/_script', {'rules': [{'fault': {'status': status, 'retry_after': 2}}]})
            got, _, value = self.chat(provider, request_of(provider))
            for key in place:
                value = value[key]
            self.assertEqual((got, value), (status, want))

    def broken(self, fault, body=None, wait=5):
        """The status and what could be read before it broke, and whether it broke."""
        self.start({'rules': [{'fault': fault, 'reply': {'text': 'twelve words ' * 12}}]})
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=wait)
        self.addCleanup(connection.close)
        try:
            connection.request('POST', PATHS['openai'], json.dumps(body or request_of('openai')), HEADERS['openai'])
            answer = connection.getresponse()
        except (ConnectionError, TimeoutError) as error:
            return 0, b'', type(error).__name__
        try:
            return answer.status, answer.read(), ''
        except http.client.IncompleteRead as error:
            return answer.status, error.partial, 'IncompleteRead'

    def test_breaks(self):
        stream = request_of('openai', stream=True)
        self.assertEqual(self.broken('reset')[2], 'ConnectionResetError')
        self.assertEqual(self.broken('hang', wait=0.3)[2], 'TimeoutError')
        status, raw, how = self.broken('drop')
        self.assertEqual((status, how), (200, 'IncompleteRead'))
        self.assertGreater(len(raw), 10)
        status, raw, how = self.broken({'kind': 'drop', 'after': 3}, stream)
        self.assertEqual((status, len(events(raw)), how), (200, 3, 'IncompleteRead'))

    def test_bad_bodies(self):
        stream = request_of('openai', stream=True)
        self.assertRaises(ValueError, json.loads, self.broken('malformed')[1])
        self.assertTrue(
            any(
                isinstance(value, str) and value != '[DONE]'
                for _, value in events(self.broken('malformed', stream)[1])
            )
        )
        self.assertEqual(self.broken('empty')[:2], (200, b''))
        self.assertTrue(self.broken('content_type')[1].startswith(b'<html>'))
        self.assertNotIn('usage', json.loads(self.broken('no_usage')[1]))
        self.assertEqual(len(reply_text('openai', json.loads(self.broken('big')[1]))), 10 << 20)
        self.assertNotIn(b'[DONE]', self.broken('no_end', stream)[1])
        self.assertIn('error', events(self.broken('late_error', stream)[1])[-1][1])
        self.assertEqual(events(self.broken('trickle', stream)[1])[-1][1], '[DONE]')

    def test_refusals(self):
        self.assertEqual(self.broken('auth')[0], 401)
        self.assertEqual(self.broken('overloaded')[0], 503)
        self.assertIn(b'context_length_exceeded', self.broken('context')[1])

    def test_slow(self):
        self.start({'rules': [{'fault': {'kind': 'slow', 'first_ms': 150}}]})
        before = time.monotonic()
        self.texts(1)
        self.assertGreaterEqual(time.monotonic() - before, 0.15)

    def test_many_at_once(self):
        server = self.start({'default': {'text': 'ok', 'first_ms': 200}})
        threads = [threading.Thread(target=self.texts, args=(1,)) for _ in range(50)]
        before = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertGreater(server.stats()['in_flight_max'], 10)
        self.assertLess(time.monotonic() - before, 5)


class PlainApi(Fake):
    def get(self, path, body=None, headers=None, method=None):
        status, fields, raw = self.ask(path, body, headers, method)
        return status, fields, json.loads(raw)

    def test_echo_and_status(self):
        self.start()
        value = self.get('/api/echo?a=1', {'x': 1}, {'X-Y': 'z'}, 'PUT')[2]
        self.assertEqual(
            (value['method'], value['query'], value['body'], value['headers']['x-y']),
            ('PUT', {'a': '1'}, {'x': 1}, 'z'),
        )
        path = '/api/status/503?times=2&retry_after=3'
        got = [self.get(path) for _ in range(3)]
        self.assertEqual([status for status, _, _ in got], [503, 503, 200])
        self.assertEqual(got[0][1]['Retry-After'], '3')
        self.assertEqual(self.get('/api/nothing')[0], 404)

    def test_auth(self):
        self.start()
        basic = 'Basic ' + base64.b64encode(b'ann:pw').decode()
        rows = [
            ('/api/auth/bearer/t', {'Authorization': 'Bearer t'}),
            ('/api/auth/key/X-Key/v', {'x-key': 'v'}),
            ('/api/auth/basic/ann/pw', {'Authorization': basic}),
        ]
        for path, headers in rows:
            self.assertEqual((self.get(path)[0], self.get(path, headers=headers)[0]), (401, 200), path)
            self.assertIn('WWW-Authenticate', self.get(path)[1])

    def test_oauth(self):
        self.start()
        form = 'grant_type=client_credentials&client_id=id&client_secret='
        self.assertEqual(self.get('/api/oauth/token', form + 'wrong')[0], 401)
        token = self.get('/api/oauth/token', form + 'secret')[2]['access_token']
        self.assertEqual(self.get('/api/oauth/check', headers={'Authorization': 'Bearer ' + token})[0], 200)
        self.assertEqual(self.get('/api/oauth/check', headers={'Authorization': 'Bearer x'})[0], 401)

    def test_items(self):
        self.start()
        first = self.get('/api/items', {'n': 1}, {'Idempotency-Key': 'k'})
        again = self.get('/api/items', {'n': 1}, {'Idempotency-Key': 'k'})
        self.assertEqual((first[0], again[0], first[2]), (201, 200, again[2]))
        self.assertEqual(self.get('/api/items/1', {'n': 2}, None, 'PUT')[2], {'n': 2, 'id': 1})
        self.assertEqual(len(self.get('/api/items')[2]['items']), 1)
        self.assertEqual(self.get('/api/items/1', method='DELETE')[0], 200)
        self.assertEqual(self.get('/api/items/1')[0], 404)

    def test_odd_answers(self):
        self.start()
        self.assertEqual(len(self.ask('/api/big/5000')[2]), 5000)
        self.assertEqual(self.ask('/api/redirect/2')[1]['Location'], '/api/redirect/1')
        self.assertEqual(self.ask('/api/gzip')[1]['Content-Encoding'], 'gzip')
        self.assertRaises(http.client.IncompleteRead, self.ask, '/api/drop')
        self.assertRaises(ConnectionResetError, self.ask, '/api/reset')


class BatchesTest(Fake):
    """As strict as the services: a client that sends something else gets no batch."""

    def line(self, name, text='hi', **more):
        body = request_of('openai', text)
        return json.dumps(dict({'custom_id': name, 'method': 'POST', 'url': PATHS['openai'], 'body': body}, **more))

    def upload(self, text, purpose='batch', kind='multipart/form-data; boundary=b', name='; filename="x.jsonl"'):
        form = (
            f'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n'
            f'--b\r\nContent-Disposition: form-data; name="file"{name}\r\n\r\n{text}\r\n--b--\r\n'
        )
        headers = dict(HEADERS['openai'], **{'Content-Type': kind})
        status, _, raw = self.ask('/v1/files', form, headers)
        return status, json.loads(raw)

    def create(self, file, **more):
        body = {'input_file_id': file, 'endpoint': PATHS['openai'], 'completion_window': '24h'}
        status, _, raw = self.ask('/v1/batches', dict(body, **more), HEADERS['openai'])
        return status, json.loads(raw)

    def test_openai_takes_and_answers(self):
        self.start({'batch': {'seconds': 0, 'expired': 'late'}, 'rules': [{'match': {'user': 'bad'}, 'fault': 429}]})
        file = self.upload('\n'.join([self.line('a'), self.line('b', 'bad'), self.line('c', 'late')]))[1]['id']
        batch = self.create(file)[1]['id']
        listed = json.loads(self.ask('/v1/batches?limit=5', None, HEADERS['openai'])[2])
        self.assertEqual([one['input_file_id'] for one in listed['data']], [file])
        seen = json.loads(self.ask(f'/v1/batches/{batch}', None, HEADERS['openai'])[2])
        self.assertEqual(seen['status'], 'expired')
        lines = {}
        for key in ('output_file_id', 'error_file_id'):
            raw = self.ask(f'/v1/files/{seen[key]}/content', None, HEADERS['openai'])[2]
            lines.update({one['custom_id']: one for one in map(json.loads, raw.splitlines())})
        self.assertEqual(reply_text('openai', lines['a']['response']['body']), 'echo: hi')
        self.assertEqual(lines['b']['response']['status_code'], 429)
        self.assertEqual(lines['c']['error']['code'], 'batch_expired')

    def test_openai_refuses(self):
        self.start()
        good = self.upload(self.line('a'))[1]['id']
        for status, value in (
            self.upload('x', purpose='fine-tune'),
            self.upload('x', kind='application/json'),
            self.upload('x', name=''),
            self.create('file-none'),
            self.create(good, endpoint='/v1/embeddings'),
            self.create(good, completion_window='1h'),
            self.create(good, extra=1),
            self.create(self.upload(self.line('a') + '\n' + self.line('a'))[1]['id']),
            self.create(self.upload(self.line('a b'))[1]['id']),
            self.create(self.upload(self.line('a', method='GET'))[1]['id']),
            self.create(self.upload(self.line('a', body={'stream': True}))[1]['id']),
        ):
            self.assertEqual((status, value['error']['type']), (400, 'invalid_request_error'))
        self.assertEqual(self.ask('/v1/batches', '{}', {})[0], 401)
        self.assertEqual(self.ask('/v1/batches/none', None, HEADERS['openai'])[0], 404)
        self.assertEqual(self.ask('/v1/files/none/content', None, HEADERS['openai'])[0], 404)
        self.assertEqual(self.ask('/v1/batches', None, HEADERS['openai'], 'DELETE')[0], 405)

    def test_anthropic(self):
        self.start({'batch': {'seconds': 0.05, 'forgotten': 'lost'}})
        path, headers = '/v1/messages/batches', HEADERS['anthropic']
        items = [{'custom_id': name, 'params': request_of('anthropic', name)} for name in ('a', 'b', 'lost')]
        status, _, raw = self.ask(path, {'requests': items}, headers)
        batch = json.loads(raw)
        self.assertEqual((status, batch['processing_status'], batch['results_url']), (200, 'in_progress', None))
        self.assertEqual(self.ask(f'{path}/{batch["id"]}/results', None, headers)[0], 404)
        threading.Event().wait(0.06)
        self.assertEqual(
            json.loads(self.ask(f'{path}/{batch["id"]}', None, headers)[2])['processing_status'], 'ended'
        )
        lines = [json.loads(one) for one in self.ask(f'{path}/{batch["id"]}/results', None, headers)[2].splitlines()]
        self.assertEqual([one['custom_id'] for one in lines], ['b', 'a'])
        self.assertEqual(reply_text('anthropic', lines[0]['result']['message']), 'echo: b')
        for body in ({}, {'requests': []}, {'requests': [{'custom_id': 'a'}]}, {'requests': [items[0], items[0]]}):
            self.assertEqual(self.ask(path, body, headers)[0], 400)
        self.assertEqual(self.ask(path, {'requests': items}, {})[0], 401)


    def test_gemini(self):
        self.start({'batch': {'seconds': 0.05, 'expired': 'late', 'page': 1}})
        path, headers = '/v1beta/models/m-1:batchGenerateContent', HEADERS['gemini']
        items = [{'request': request_of('gemini', name), 'metadata': {'key': name}} for name in ('a', 'late')]

        def body(items, **more):
            return {'batch': dict({'display_name': 'x', 'input_config': {'requests': {'requests': items}}}, **more)}

        status, _, raw = self.ask(path, body(items), headers)
        batch = json.loads(raw)
        self.assertEqual((status, batch['metadata']['state']), (200, 'BATCH_STATE_RUNNING'))
        self.assertNotIn('response', json.loads(self.ask(f'/v1beta/{batch["name"]}', None, headers)[2]))
        threading.Event().wait(0.06)
        seen = json.loads(self.ask(f'/v1beta/{batch["name"]}', None, headers)[2])
        self.assertEqual((seen['done'], seen['metadata']['state']), (True, 'BATCH_STATE_SUCCEEDED'))
        first, second = seen['response']['inlinedResponses']['inlinedResponses']
        self.assertEqual(reply_text('gemini', first['response']), 'echo: a')
        self.assertEqual((second['metadata'], second['error']['code']), ({'key': 'late'}, 4))
        self.ask(path, body(items, display_name='y'), headers)
        names = []
        for token in ('', '&pageToken=1'):
            page = json.loads(self.ask(f'/v1beta/batches?pageSize=100{token}', None, headers)[2])
            names += [one['metadata']['displayName'] for one in page['operations']]
        self.assertEqual((names, 'nextPageToken' in page), (['x', 'y'], False))
        for wrong in (
            {},
            body([]),
            body(items, model='m'),
            body([items[0], items[0]]),
            body([{'request': items[0]['request']}]),
            {'batch': {'display_name': 'x', 'input_config': {'file_name': 'files/1'}}},
        ):
            self.assertEqual(self.ask(path, wrong, headers)[0], 400)
        self.assertEqual(self.ask(path, body(items), {})[0], 403)
        self.assertEqual(self.ask('/v1beta/batches/none', None, headers)[0], 404)
        self.assertEqual(self.ask(path, None, headers)[0], 405)


class LedgerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, 'ledger')

    def spawn(self, *arguments):
        child = subprocess.Popen(
            [sys.executable, os.path.join(HERE, 'ledger.py'), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(child.wait)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stdin.close)
        self.addCleanup(child.kill)
        return child

    def rpc(self, child, number, method, params=None):
        child.stdin.write(
            json.dumps({'jsonrpc': '2.0', 'id': number, 'method': method, 'params': params or {}}) + '\n'
        )
        child.stdin.flush()
        line = child.stdout.readline()
        return json.loads(line) if line else None

    def test_mcp(self):
        child = self.spawn('mcp', self.path)
        begun = self.rpc(child, 'a', 'initialize', {'protocolVersion': '2025-06-18', 'capabilities': {}})
        self.assertEqual((begun['id'], begun['result']['protocolVersion']), ('a', '2025-06-18'))
        child.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        tools = {tool['name']: tool for tool in self.rpc(child, 1, 'tools/list')['result']['tools']}
        self.assertNotIn('annotations', tools['append'])
        self.assertTrue(tools['read_all']['annotations']['readOnlyHint'])
        call = {'name': 'append', 'arguments': {'entry': 'paid', 'key': 'k1'}}
        for number in (2, 3):
            self.assertIn('content', self.rpc(child, number, 'tools/call', call)['result'])
        text = self.rpc(child, 4, 'tools/call', {'name': 'read_all'})['result']['content'][0]['text']
        self.assertEqual([entry['key'] for entry in json.loads(text)], ['k1', 'k1'])
        bad = self.rpc(child, 5, 'tools/call', {'name': 'append', 'arguments': {'entry': 'x'}})
        self.assertTrue(bad['result']['isError'])
        self.assertEqual(self.rpc(child, 6, 'tools/call', {'name': 'burn'})['error']['code'], -32602)
        self.assertEqual(self.rpc(child, 7, 'server/discover')['error']['code'], -32601)
        child.stdin.close()
        self.assertEqual(child.wait(5), 0)
        self.assertEqual(ledger.check(self.path), {'entries': 2, 'keys': 1, 'torn': 0, 'duplicates': {'k1': 2}})

    def test_mcp_loses_an_answer(self):
        child = self.spawn('mcp', self.path, '--lose', '1')
        call = {'name': 'append', 'arguments': {'entry': 'paid', 'key': 'k1'}}
        self.assertIsNone(self.rpc(child, 1, 'tools/call', call))
        self.assertEqual(ledger.check(self.path)['entries'], 1)

    def test_http_and_kill(self):
        child = self.spawn('http', self.path, '--lose', '3')
        port = int(child.stdout.readline().strip().rsplit(':', 1)[1])

        def append(key):
            connection = http.client.HTTPConnection('127.0.0.1', port, timeout=5)
            self.addCleanup(connection.close)
            connection.request('POST', '/append', json.dumps({'entry': 'e', 'key': key}))
            return connection.getresponse().status

        self.assertEqual([append('a'), append('b')], [200, 200])
        self.assertRaises(http.client.RemoteDisconnected, append, 'c')
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        self.assertEqual(ledger.check(self.path), {'entries': 3, 'keys': 3, 'torn': 0, 'duplicates': {}})

    def test_check(self):
        run = [sys.executable, os.path.join(HERE, 'ledger.py'), 'check', self.path]
        self.assertEqual(subprocess.run(run + ['--keys', '0'], capture_output=True).returncode, 0)
        with open(self.path, 'w') as opened:
            opened.write('{"key": "a", "entry": "x"}\n{"key": "a", "entry": "x"}\n{"key": "b"')
        done = subprocess.run(run, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout), {'entries': 2, 'keys': 1, 'torn': 1, 'duplicates': {'a': 2}})


class CommandLine(unittest.TestCase):
    def test_prints_where_it_is(self):
        command = [sys.executable, os.path.join(HERE, 'llm_server.py')]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            url = child.stdout.readline().strip()
            connection = http.client.HTTPConnection(url[7:], timeout=5)
            connection.request('POST', '/_stop')
            self.assertEqual(connection.getresponse().status, 200)
            connection.close()
            self.assertEqual(child.wait(5), 0)
        finally:
            child.kill()
            child.stdout.close()


if __name__ == '__main__':
    # The last line is the one the other test programs end with.
    result = unittest.TextTestRunner(verbosity=1 if '-v' not in sys.argv else 2).run(
        unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    )
    bad = len(result.failures) + len(result.errors)
    print(f'{result.testsRun - bad} passed, {bad} failed')
    sys.exit(bad > 0)

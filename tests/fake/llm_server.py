#!/usr/bin/env python3
"""A model service on loopback that can be told what to say and how to misbehave.

    llm_server.py [--port N] [--script FILE] [--log FILE] [--check-only]

It speaks OpenAI chat completions (.../chat/completions), Anthropic messages (/v1/messages), Ollama
(/api/chat, /api/tags, /api/version, /api/show) and Gemini (/v1beta/models/M:generateContent and
:streamGenerateContent), whole and streamed, and judges requests as strictly as they do. Any key is
accepted unless the script has `keys`. With --port 0 (the default) it takes a free port; its first line
on stdout is `http://127.0.0.1:PORT`. Below /api/ it is also a plain HTTP API: see http_api.py.

The script is a JSON object; without one every reply is "echo: " and the user's text.
    {"keys": ["k1"], "models": ["gpt-*"], "context_tokens": 8000, "chunk": 6, "strict_roles": true,
     "strict": false,
     "rules": [
       {"match": {"user": "weather", "tools": "get_weather", "after_tools": false},
        "reply": {"tool_calls": [{"name": "get_weather", "arguments": {"city": "Bern"}}]}},
       {"match": {"tool_result": "rain"}, "reply": {"text": "Take an umbrella: $tool_result"}},
       {"match": {"user": "flaky"}, "fault": {"status": 429, "retry_after": 1, "times": 2}, "reply": {"text": "now"}},
       {"match": {"model": "gpt-4*"}, "replies": [{"text": "first"}, {"text": "second and all later"}]}],
     "default": {"text": "echo: $user"}}
Match, all of them must hold: provider, path, user, system, tool_result, body, all (regular expressions, searched;
user is the last user text, all is every text); model (glob); tools (a name that is offered); after_tools, stream
(true or false); turn (assistant messages so far); header {name: regex}. `times`: the rule serves so often, then is
passed over. The first rule that matches answers. `strict`: no rule is a 500 rather than the default.
Reply: text | json | echo, thinking, tool_calls [{name, arguments (object, or text as it is), id}], finish (stop,
length, tool_calls, content_filter), usage {input, output, cached, reasoning} or null. $user $tool_result $model $n
$turn are replaced in text and arguments. first_ms and chunk_ms (of a rule or fault) make it slow.
Fault: a name, a number (status) or an object {kind | status, times, ...}: status {status, retry_after, body}; auth;
overloaded; context; hang {ms}; slow {first_ms, chunk_ms}; reset; drop {after}: in the middle, after so many pieces
(streams) or bytes; late_error {after}: an error event in the stream; no_end: the stream ends without its last
piece; malformed; content_type; no_usage; empty; big {bytes}; trickle: byte by byte.
Batches of OpenAI and Anthropic, and how they go wrong (`batch` of the script): llm_batch.py.
Control: GET /_log, /_stats; POST /_script (a new script), /_reset (forget log and counts), /_stop.
"""

import argparse
import collections
import fnmatch
import json
import os
import re
import select
import socket
import string
import struct
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import http_api  # noqa: E402
import llm_batch  # noqa: E402
import llm_wire  # noqa: E402

BODY_MAX = 64 << 20
LOG_KEPT = 20000
MATCHES = {
    'provider',
    'path',
    'user',
    'system',
    'tool_result',
    'body',
    'all',
    'model',
    'tools',
    'after_tools',
    'stream',
    'turn',
    'header',
}
FAULTS = {
    'status',
    'auth',
    'overloaded',
    'context',
    'hang',
    'slow',
    'reset',
    'drop',
    'late_error',
    'no_end',
    'malformed',
    'content_type',
    'no_usage',
    'empty',
    'big',
    'trickle',
}
REPLIES = {'text', 'json', 'echo', 'thinking', 'tool_calls', 'finish', 'usage', 'fault', 'first_ms', 'chunk_ms'}
RULES = {'match', 'times', 'reply', 'replies', 'fault', 'first_ms', 'chunk_ms', 'name'}
SCRIPTS = {'batch', 'keys', 'models', 'context_tokens', 'chunk', 'strict_roles', 'strict', 'rules', 'default'}


def fault_of(value):
    """A fault in its long form."""
    if value is None:
        return None
    if isinstance(value, int):
        value = {'status': value}
    elif isinstance(value, str):
        value = {'kind': value}
    fault = dict(value)
    fault.setdefault('kind', 'status')
    if fault['kind'] not in FAULTS or (fault['kind'] == 'status' and 'status' not in fault):
        raise ValueError(f'unknown fault: {value}')
    return fault


def known(what, value, keys):
    if not isinstance(value, dict):
        raise ValueError(f'{what}: expected an object, found {value!r}')
    extra = set(value) - keys
    if extra:
        raise ValueError(f"{what}: unknown key '{sorted(extra)[0]}' (known: {', '.join(sorted(keys))})")
    return value


class Rule:
    def __init__(self, number, value):
        known(f'rule {number}', value, RULES)
        self.number = value.get('name', number)
        self.match = known(f'rule {number}: match', value.get('match', {}), MATCHES)
        self.times = value.get('times')
        self.replies = value.get('replies') or [value.get('reply', {'echo': True})]
        for reply in self.replies:
            known(f'rule {number}: reply', reply, REPLIES)
            fault_of(reply.get('fault'))
        self.fault = fault_of(value.get('fault'))
        self.pace = {key: value[key] for key in ('first_ms', 'chunk_ms') if key in value}
        self.hits = 0

    def matches(self, service, path, headers, facts, raw):
        if self.times is not None and self.hits >= self.times:
            return False
        texts = {
            'provider': service.name,
            'path': path,
            'user': facts.user,
            'system': facts.system,
            'body': raw,
            'tool_result': '\n'.join(facts.tool_results),
            'all': '\n'.join(text for _, text in facts.messages),
        }
        values = {'after_tools': bool(facts.tool_results), 'stream': facts.stream, 'turn': facts.turns}
        for key, want in self.match.items():
            if key in texts:
                good = re.search(want, texts[key]) is not None and (key != 'tool_result' or facts.tool_results)
            elif key in values:
                good = values[key] == want
            elif key == 'model':
                good = fnmatch.fnmatchcase(facts.model, want)
            elif key == 'tools':
                good = want in facts.tools
            else:
                good = all(re.search(pattern, headers.get(name.lower(), '')) for name, pattern in want.items())
            if not good:
                return False
        return True

    def take(self):
        """The reply, fault and pace of this hit."""
        reply = self.replies[min(self.hits, len(self.replies) - 1)]
        fault = fault_of(reply.get('fault')) or self.fault
        if fault and self.hits >= fault.get('times', 1 << 60):
            fault = None
        self.hits += 1
        pace = dict(self.pace, **{key: reply[key] for key in ('first_ms', 'chunk_ms') if key in reply})
        return reply, fault, pace


class Script:
    def __init__(self, value):
        self.value = known('script', value, SCRIPTS)
        self.rules = [Rule(i, rule) for i, rule in enumerate(value.get('rules', []))]
        self.default = Rule('default', {'reply': value.get('default', {'echo': True})})
        self.lock = threading.Lock()

    def choose(self, service, path, headers, facts, raw):
        with self.lock:
            for rule in self.rules:
                if rule.matches(service, path, headers, facts, raw):
                    return (rule,) + rule.take()
            if self.value.get('strict'):
                return None, None, None, None
            return (self.default,) + self.default.take()


def filled(value, words):
    if isinstance(value, str):
        return string.Template(value).safe_substitute(words)
    if isinstance(value, dict):
        return {key: filled(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, words) for inner in value]
    return value


def reply_of(reply, fault, facts, number):
    """A reply in the neutral form that llm_wire renders."""
    words = {
        'user': facts.user,
        'tool_result': '\n'.join(facts.tool_results),
        'model': facts.model,
        'n': str(number),
        'turn': str(facts.turns),
    }
    text = reply.get('text', '')
    if 'json' in reply:
        text = json.dumps(reply['json'], ensure_ascii=False)
    elif reply.get('echo') or not ({'text', 'tool_calls', 'thinking'} & set(reply)):
        text = 'echo: $user'
    text = filled(text, words)
    if fault and fault['kind'] == 'big':
        text = 'x' * fault.get('bytes', 10 << 20)
    calls = []
    for call in reply.get('tool_calls', []):
        arguments = filled(call.get('arguments', {}), words)
        raw = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        try:
            arguments = json.loads(raw)
        except ValueError:
            arguments = {}
        calls.append(
            {
                'id': call.get('id') or llm_wire.new_id('call_'),
                'name': call['name'],
                'raw': raw,
                'arguments': arguments if isinstance(arguments, dict) else {},
            }
        )
    usage = reply.get('usage', {})
    silent = usage is None or (fault and fault['kind'] == 'no_usage')
    usage = usage or {}
    return {
        'text': text,
        'calls': calls,
        'thinking': filled(reply.get('thinking', ''), words),
        'finish': reply.get('finish'),
        'usage': not silent,
        'input': usage.get('input', facts.tokens),
        'output': usage.get('output', llm_wire.tokens_of(text + ''.join(call['raw'] for call in calls))),
        'cached': usage.get('cached', 0),
        'reasoning': usage.get('reasoning', 0),
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    server_version = 'fake/1'
    sys_version = ''
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    # ---- reading ----------------------------------------------------------------------------------
    def read_body(self):
        if 'chunked' in self.headers.get('Transfer-Encoding', '').lower():
            out = b''
            while True:
                size = int(self.rfile.readline(100).split(b';')[0], 16)
                out += self.rfile.read(size)
                self.rfile.readline(10)
                if size == 0 or len(out) > BODY_MAX:
                    return out
        return self.rfile.read(min(int(self.headers.get('Content-Length') or 0), BODY_MAX))

    def wait(self, seconds):
        """Waits, but no longer than the client does: false when it has gone."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            if left <= 0:
                return True
            if select.select([self.connection], [], [], min(left, 0.2))[0]:
                try:
                    if not self.connection.recv(1, socket.MSG_PEEK):
                        return False
                except OSError:
                    return False
                if self.server.stopping.wait(min(left, 0.05)):  # pipelined bytes: no reason to stop waiting
                    return False
            if self.server.stopping.is_set():
                return False

    # ---- writing ----------------------------------------------------------------------------------
    def send(self, status, value, headers=None):
        body = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
        self.record['status'] = status
        self.send_response(status)
        fields = {'Content-Type': 'application/json', **(headers or {}), 'Content-Length': str(len(body))}
        for name, text in fields.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)
        self.wfile.flush()

    def break_off(self, hard):
        """Closes the connection in the middle; hard: with a reset."""
        self.close_connection = True
        try:
            self.wfile.flush()
            if hard:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            else:
                self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.server.hard_close(self.connection) if hard else None

    # ---- routes -----------------------------------------------------------------------------------
    def route(self):
        started = time.time()
        self.path_only, _, query = self.path.partition('?')
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.lower = {name.lower(): value for name, value in self.headers.items()}
        self.record = {'status': 0}
        try:
            self.body = self.read_body()
        except ValueError:
            self.close_connection = True
            return self.send(400, {'error': 'bad framing'})
        if self.path_only.startswith('/_'):
            return self.control()
        state = self.server
        number = state.enter()
        self.record = {
            'n': number,
            'time': started,
            'method': self.command,
            'path': self.path,
            'headers': self.lower,
            'status': 0,
        }
        try:
            self.answer(number)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.record['gone'] = True
            self.close_connection = True
        finally:
            self.record['ms'] = round((time.time() - started) * 1000, 3)
            state.leave(self.record)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = route

    def control(self):
        state, what = self.server, self.path_only
        if what == '/_log':
            state.settle()
            return self.send(200, list(state.log))
        if what == '/_stats':
            return self.send(200, state.stats())
        if what == '/_script':
            try:
                state.script = Script(json.loads(self.body or b'{}'))
            except ValueError as error:
                return self.send(400, {'error': str(error)})
            return self.send(200, {'ok': True})
        if what == '/_reset':
            state.reset()
            return self.send(200, {'ok': True})
        if what == '/_stop':
            self.send(200, {'ok': True})
            threading.Thread(target=state.stop, daemon=True).start()
            return None
        return self.send(404, {'error': 'no such control path'})

    def answer(self, number):
        if self.server.batches.takes(self):
            return None
        service = llm_wire.service_of(self.path_only)
        if service and self.command == 'POST':
            return self.complete(service, number)
        if self.listing():
            return None
        if self.path_only.startswith('/api/'):
            return self.plain()
        if service:
            return self.send(405, {'error': 'method not allowed'}, {'Allow': 'POST'})
        return self.send(
            404,
            {
                'error': {
                    'message': f'Unknown request URL: {self.command} {self.path_only}.',
                    'type': 'invalid_request_error',
                    'param': None,
                    'code': 'unknown_url',
                }
            },
        )

    def listing(self):
        """The services' lists of models, and Ollama's small talk; true when it was one of them."""
        names = [name for name in self.server.script.value.get('models', []) if '*' not in name] or ['fake-1']
        path = self.path_only
        if path == '/api/version':
            self.send(200, {'version': '0.12.0'})
        elif path == '/api/tags':
            self.send(
                200,
                {
                    'models': [
                        {
                            'name': name,
                            'model': name,
                            'modified_at': '2025-01-01T00:00:00Z',
                            'size': 1,
                            'digest': '0' * 64,
                            'details': {'format': 'gguf', 'family': 'fake'},
                        }
                        for name in names
                    ]
                },
            )
        elif path == '/api/show' and self.command == 'POST':
            self.send(
                200,
                {
                    'details': {'family': 'fake'},
                    'model_info': {'fake.context_length': 8192},
                    'capabilities': ['completion', 'tools'],
                },
            )
        elif path == '/v1/models' and 'anthropic-version' in self.lower:
            self.send(
                200,
                {
                    'data': [
                        {'type': 'model', 'id': name, 'display_name': name, 'created_at': '2025-01-01T00:00:00Z'}
                        for name in names
                    ],
                    'has_more': False,
                    'first_id': names[0],
                    'last_id': names[-1],
                },
            )
        elif path.endswith('/v1/models'):
            self.send(
                200,
                {
                    'object': 'list',
                    'data': [
                        {'id': name, 'object': 'model', 'created': 1735689600, 'owned_by': 'fake'} for name in names
                    ],
                },
            )
        elif path == '/v1beta/models':
            self.send(
                200,
                {
                    'models': [
                        {
                            'name': f'models/{name}',
                            'inputTokenLimit': 8192,
                            'supportedGenerationMethods': ['generateContent'],
                        }
                        for name in names
                    ]
                },
            )
        else:
            return False
        return True

    def plain(self):
        request = argparse.Namespace(
            method=self.command,
            path=self.path_only,
            query=self.query,
            headers=self.lower,
            body=self.body,
            wait=self.wait,
        )
        self.record['body'] = self.body.decode('utf-8', 'replace')[:100000]
        answer = self.server.api.handle(request)
        if answer.act == 'hang':
            self.record['fault'] = 'hang'
            self.wait(3600)
            return self.break_off(False)
        if answer.act == 'reset':
            self.record['fault'] = 'reset'
            return self.break_off(True)
        if answer.act == 'drop':
            self.record['fault'] = 'drop'
            return self.cut_short(answer.body, len(answer.body) // 2, 'application/json')
        return self.send(answer.status, answer.body, answer.headers)

    def cut_short(self, body, after, kind):
        """Promises the whole and sends only its beginning."""
        self.send_response(200)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body[:after])
        self.record['status'] = 200
        self.break_off(False)

    # ---- model calls ------------------------------------------------------------------------------
    def complete(self, service, number):
        script, record = self.server.script, self.record
        record['provider'] = service.name
        try:
            body, facts = self.judge(service, script)
        except llm_wire.Refused as refused:
            record['refused'] = refused.body
            return self.send(refused.status, refused.body, refused.headers)
        record.update(
            model=facts.model,
            stream=facts.stream,
            user=facts.user,
            tool_results=facts.tool_results,
            tools=facts.tools,
            body=body,
        )
        rule, reply, fault, pace = script.choose(
            service, self.path_only, self.lower, facts, self.body.decode('utf-8', 'replace')
        )
        if rule is None:
            return self.send(500, service.trouble(500, None), {'X-Fake': 'no rule matches'})
        record.update(rule=rule.number, fault=fault['kind'] if fault else None)
        if fault and self.refuse(service, fault, facts):
            return None
        pace = dict(pace, **{key: fault[key] for key in ('first_ms', 'chunk_ms') if fault and key in fault})
        if pace.get('first_ms') and not self.wait(pace['first_ms'] / 1000):
            return self.break_off(False)
        neutral = reply_of(reply, fault, facts, number)
        record['reply'] = neutral['text'][:1000]
        if facts.stream:
            return self.stream(service, facts, neutral, body, fault, pace.get('chunk_ms', 0) / 1000)
        return self.whole(service, service.whole(facts, neutral, body), fault)

    def judge(self, service, script):
        keys = script.value.get('keys')
        service.auth(self.lower, self.query, keys)
        try:
            body = json.loads(self.body)
        except ValueError:
            raise service.malformed() from None
        if not isinstance(body, dict):
            raise service.malformed()
        self.record['body'] = body
        service.check(self.path_only, body, script.value)
        facts = service.facts(self.path_only, body, self.query)
        models = script.value.get('models')
        if models and not any(fnmatch.fnmatchcase(facts.model, one) for one in models):
            raise service.model_missing(facts.model)
        facts.tokens = llm_wire.tokens_of(facts.system + ''.join(text for _, text in facts.messages))
        limit = script.value.get('context_tokens')
        if limit and facts.tokens > limit:
            raise service.too_long(facts.tokens, limit)
        return body, facts

    def refuse(self, service, fault, facts):
        """Faults that come instead of a reply; true when this was one."""
        kind = fault['kind']
        status = {'auth': 401, 'overloaded': 529 if service.name == 'anthropic' else 503}.get(
            kind, fault.get('status')
        )
        if kind in ('status', 'auth', 'overloaded'):
            after = fault.get('retry_after')
            headers = {} if after is None else {'Retry-After': str(after)}
            seconds = after if isinstance(after, (int, float)) else None
            text = fault.get('body', service.trouble(status, seconds and seconds * 1000))
            self.send(status, text.encode() if isinstance(text, str) else text, headers)
        elif kind == 'context':
            refused = service.too_long(max(facts.tokens, 200001), fault.get('limit', 200000))
            self.send(refused.status, refused.body)
        elif kind == 'hang':
            self.wait(fault.get('ms', 3600000) / 1000)
            self.break_off(False)
        elif kind == 'reset':
            self.break_off(True)
        elif kind == 'empty':
            self.send(200, b'', {'Content-Type': service.stream_type if facts.stream else 'application/json'})
        elif kind == 'content_type':
            self.send(
                200,
                fault.get('body', '<html><body>gateway</body></html>').encode(),
                {'Content-Type': fault.get('type', 'text/html')},
            )
        else:
            return False
        return True

    def whole(self, service, value, fault):
        body = json.dumps(value, ensure_ascii=False).encode()
        kind = fault['kind'] if fault else None
        headers = {'request-id' if service.name == 'anthropic' else 'x-request-id': llm_wire.new_id('req_')}
        if kind == 'malformed':
            return self.send(200, body[: -max(1, len(body) // 3)], headers)
        if kind == 'drop':
            return self.cut_short(body, fault.get('after', len(body) // 2), 'application/json')
        if kind == 'late_error':
            return self.send(500, service.trouble(500, None), headers)
        return self.send(200, body, headers)

    def stream(self, service, facts, neutral, body, fault, pause):
        kind = fault['kind'] if fault else None
        chunk = self.server.script.value.get('chunk', 12 if kind != 'big' else 65536)
        pieces = service.pieces(facts, neutral, body, chunk)
        as_array = service.name == 'gemini' and self.query.get('alt') != 'sse'
        self.record['status'] = 200
        self.send_response(200)
        self.send_header('Content-Type', 'application/json' if as_array else service.stream_type)
        self.send_header('Cache-Control', 'no-cache')
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        self.wfile.flush()
        after = fault.get('after', 2) if kind in ('drop', 'late_error', 'malformed') else None
        held = list(pieces)[:-1] if kind == 'no_end' else pieces
        sent = 0
        for piece in held:
            if as_array:
                piece = (b'[' if sent == 0 else b',\r\n') + piece[6:-2]
            if sent == after and kind == 'drop':
                return self.break_off(fault.get('hard', False))
            if sent == after and kind == 'late_error':
                self.put(b',' + service.late_error()[6:-2] if as_array else service.late_error())
                break
            if sent == after and kind == 'malformed':
                piece = piece[: max(8, len(piece) // 2)].rstrip() + b'\n\n'
            if pause and sent and not self.wait(pause):
                return self.break_off(False)
            self.put(piece, pause > 0, kind == 'trickle')
            sent += 1
        if as_array and kind != 'no_end':
            self.put(b']')
        self.wfile.write(b'0\r\n\r\n')
        self.wfile.flush()
        return None

    def put(self, data, flush=False, trickle=False):
        """One chunk; or with trickle a chunk for every byte."""
        for part in ([data[i : i + 1] for i in range(len(data))] if trickle else [data]):
            self.wfile.write(b'%x\r\n%s\r\n' % (len(part), part))
            if flush or trickle:
                self.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 4096
    allow_reuse_address = True

    def __init__(self, port=0, script=None, log=None, token_seconds=3600):
        super().__init__(('127.0.0.1', port), Handler)
        self.script = Script(script or {})
        self.api = http_api.Api(token_seconds)
        self.batches = llm_batch.Batches()
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.file = open(log, 'a', encoding='utf-8') if log else None
        self.count = self.in_flight = self.in_flight_max = 0
        self.log = collections.deque(maxlen=LOG_KEPT)

    reply_of = staticmethod(reply_of)

    @property
    def url(self):
        return f'http://127.0.0.1:{self.server_address[1]}'

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def hard_close(self, connection):
        """With SO_LINGER 0 the close sends a reset; a shutdown before it would send an end."""
        connection.close()

    def enter(self):
        with self.lock:
            self.count += 1
            self.in_flight += 1
            self.in_flight_max = max(self.in_flight_max, self.in_flight)
            return self.count

    def leave(self, record):
        with self.lock:
            self.in_flight -= 1
            self.log.append(record)
            if self.file:
                self.file.write(json.dumps(record, ensure_ascii=False) + '\n')
                self.file.flush()

    def settle(self):
        """An answer is sent before it is logged: whoever asks right behind it waits for the line. Requests
        that hang never get one, so not for long."""
        deadline = time.monotonic() + 0.1
        while self.in_flight and time.monotonic() < deadline:
            time.sleep(0.002)  # tidy: another thread of this server writes

    def stats(self):
        self.settle()
        with self.lock:
            by_status = collections.Counter(str(record['status']) for record in self.log)
            by_provider = collections.Counter(record.get('provider', 'http') for record in self.log)
            by_rule = collections.Counter(str(record['rule']) for record in self.log if 'rule' in record)
            return {
                'requests': self.count,
                'in_flight': self.in_flight,
                'in_flight_max': self.in_flight_max,
                'by_status': by_status,
                'by_provider': by_provider,
                'by_rule': by_rule,
            }

    def reset(self):
        with self.lock:
            self.log.clear()
            self.count, self.in_flight_max = 0, self.in_flight
            self.script = Script(self.script.value)
        self.api.reset()

    def stop(self):
        self.stopping.set()
        self.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--port', type=int, default=0, help='0: any free port')
    parser.add_argument('--script', help='JSON file; - reads it from stdin')
    parser.add_argument('--log', help='appends one JSON line a request')
    parser.add_argument('--token-seconds', type=int, default=3600, help='life of an OAuth token')
    parser.add_argument('--check-only', action='store_true', help='only tell whether the script is good')
    options = parser.parse_args()
    script = None
    if options.script:
        with sys.stdin if options.script == '-' else open(options.script, encoding='utf-8') as opened:
            script = json.load(opened)
    try:
        Script(script or {})
    except ValueError as error:
        sys.exit(f'{options.script}: {error}')
    if options.check_only:
        return
    server = Server(options.port, script, options.log, options.token_seconds)
    print(server.url, flush=True)
    try:
        server.serve_forever(poll_interval=0.05)
    except KeyboardInterrupt:
        server.stopping.set()


if __name__ == '__main__':
    main()

#!/usr/bin/env python3
"""An outside ledger: it knows which effects really happened, whatever happens to whoever asked.

    ledger.py http FILE [--port N]     an HTTP server: POST /append {"entry": ..., "key": "k"}, GET /entries, GET /check
    ledger.py mcp FILE                 an MCP server on stdio with the tools `append` and `read_all`
    ledger.py check FILE [--keys N]    counts and duplicates as JSON; status 1 when a key is there twice, a line is torn
                                       or --keys does not fit

An effect is one line of FILE, {"key", "entry", "time", "by"}, written by one write to an O_APPEND descriptor and
synced before the answer, so any number of ledgers can share a file and a killed one loses nothing it answered for.
It never refuses a key it has seen: counting duplicates is what it is for.

With http: port 0 (the default) takes a free one; the first line on stdout is the URL. --lose N: each N-th append is
carried out but its connection closed without an answer. --delay-ms M: the answer comes M ms after the effect.
With mcp, --lose N leaves each N-th append unanswered and ends the server. `append` has no annotations, which makes it
an effect that may happen once; `read_all` is read-only.
"""

import argparse
import collections
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOOLS = [
    {
        'name': 'append',
        'description': 'Appends one entry to the ledger.',
        'inputSchema': {
            'type': 'object',
            'required': ['entry', 'key'],
            'additionalProperties': False,
            'properties': {
                'entry': {'type': 'string', 'description': 'What happened'},
                'key': {'type': 'string', 'description': 'Names this effect'},
            },
        },
    },
    {
        'name': 'read_all',
        'description': 'Reads all entries of the ledger.',
        'inputSchema': {'type': 'object', 'properties': {}, 'additionalProperties': False},
        'annotations': {'readOnlyHint': True},
    },
]
LINE_BYTES = 512
VERSIONS = ('2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05')


class Ledger:
    def __init__(self, path, by, lose=0):
        self.path, self.by, self.lose = path, by, lose
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.lock = threading.Lock()
        self.count = 0

    def append(self, key, entry):
        """Carries the effect out; returns its number and whether the answer is to be lost."""
        # A kill cuts a write where it enters the file's next page; padded lines stay within one.
        line = json.dumps({'key': key, 'entry': entry, 'time': time.time(), 'by': self.by}).encode()
        line = line.ljust(LINE_BYTES - 1) + b'\n'
        if os.write(self.fd, line) != len(line):
            raise OSError('short write')
        os.fsync(self.fd)
        with self.lock:
            self.count += 1
            return self.count, self.lose and self.count % self.lose == 0


def read(path):
    """All whole entries, and how many lines are not."""
    entries, torn = [], 0
    try:
        with open(path, 'rb') as opened:
            lines = opened.read().split(b'\n')
    except FileNotFoundError:
        return [], 0
    for line in lines[:-1]:
        try:
            entry = json.loads(line)
            entries.append(entry if isinstance(entry, dict) and 'key' in entry else None)
        except ValueError:
            entries.append(None)
    torn = entries.count(None) + bool(lines[-1])
    return [entry for entry in entries if entry], torn


def check(path):
    entries, torn = read(path)
    counts = collections.Counter(str(entry['key']) for entry in entries)
    return {
        'entries': len(entries),
        'keys': len(counts),
        'torn': torn,
        'duplicates': {key: count for key, count in sorted(counts.items()) if count > 1},
    }


def valid(arguments):
    """Why these are not arguments of append, or None."""
    if not isinstance(arguments, dict):
        return 'expected an object with entry and key'
    for name in ('entry', 'key'):
        if not isinstance(arguments.get(name), str) or not arguments[name]:
            return f'{name}: expected a text'
    extra = set(arguments) - {'entry', 'key'}
    return f'{sorted(extra)[0]}: unknown' if extra else None


# ---- HTTP ------------------------------------------------------------------------------------------
class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def log_message(self, *_):
        pass

    def send(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.server.ledger.path
        if self.path == '/entries':
            return self.send(200, read(path)[0])
        if self.path == '/check':
            return self.send(200, check(path))
        return self.send(404, {'error': f'no such path: {self.path}'})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        if self.path != '/append':
            return self.send(404, {'error': f'no such path: {self.path}'})
        try:
            value = json.loads(body)
        except ValueError:
            return self.send(400, {'error': 'not JSON'})
        if isinstance(value, dict) and 'key' not in value and self.headers.get('Idempotency-Key'):
            value['key'] = self.headers['Idempotency-Key']
        if isinstance(value, dict) and not isinstance(value.get('entry', ''), str):
            value['entry'] = json.dumps(value['entry'])
        problem = valid(value)
        if problem:
            return self.send(400, {'error': problem})
        number, lost = self.server.ledger.append(value['key'], value['entry'])
        if self.server.delay:
            self.server.pause.wait(self.server.delay)
        if lost:
            self.close_connection = True
            return None
        return self.send(200, {'ok': True, 'n': number})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, path, port=0, lose=0, delay_ms=0):
        super().__init__(('127.0.0.1', port), Handler)
        self.ledger = Ledger(path, f'http:{os.getpid()}', lose)
        self.delay = delay_ms / 1000
        self.pause = threading.Event()

    @property
    def url(self):
        return f'http://127.0.0.1:{self.server_address[1]}'

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


# ---- MCP -------------------------------------------------------------------------------------------
class Mcp:
    """The lifecycle and the two tools, one JSON-RPC message a line (revisions up to 2025-11-25)."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.lost = False

    def result(self, message):
        method, params = message.get('method'), message.get('params') or {}
        if method == 'initialize':
            wanted = params.get('protocolVersion')
            return {
                'protocolVersion': wanted if wanted in VERSIONS else VERSIONS[0],
                'capabilities': {'tools': {'listChanged': False}},
                'serverInfo': {'name': 'ledger', 'version': '1.0.0'},
            }
        if method == 'ping':
            return {}
        if method == 'tools/list':
            return {'tools': TOOLS}
        if method == 'tools/call':
            return self.call(params.get('name'), params.get('arguments') or {})
        raise LookupError(-32601, f'Method not found: {method}')

    def call(self, name, arguments):
        if name == 'append':
            problem = valid(arguments)
            if problem:
                return {'content': [{'type': 'text', 'text': problem}], 'isError': True}
            number, self.lost = self.ledger.append(arguments['key'], arguments['entry'])
            return {'content': [{'type': 'text', 'text': f'appended as number {number}'}]}
        if name == 'read_all':
            text = json.dumps(read(self.ledger.path)[0])
            return {'content': [{'type': 'text', 'text': text}]}
        raise LookupError(-32602, f'Unknown tool: {name}')

    def answer(self, line):
        """The reply to one line, or None: notifications and replies get none."""
        try:
            message = json.loads(line)
        except ValueError:
            return {'jsonrpc': '2.0', 'error': {'code': -32700, 'message': 'Parse error'}}
        if not isinstance(message, dict) or message.get('jsonrpc') != '2.0':
            return {'jsonrpc': '2.0', 'error': {'code': -32600, 'message': 'Invalid Request'}}
        if 'id' not in message or 'method' not in message:
            return None
        out = {'jsonrpc': '2.0', 'id': message['id']}
        try:
            out['result'] = self.result(message)
        except LookupError as error:
            out['error'] = {'code': error.args[0], 'message': error.args[1]}
        return out


def serve_mcp(path, lose, delay_ms):
    mcp = Mcp(Ledger(path, f'mcp:{os.getpid()}', lose))
    for line in sys.stdin.buffer:
        if not line.strip():
            continue
        reply = mcp.answer(line)
        if mcp.lost:
            sys.exit(3)
        if delay_ms:
            threading.Event().wait(delay_ms / 1000)
        if reply is not None:
            sys.stdout.write(json.dumps(reply) + '\n')
            sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('mode', choices=('http', 'mcp', 'check'))
    parser.add_argument('file')
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--lose', type=int, default=0)
    parser.add_argument('--delay-ms', type=int, default=0)
    parser.add_argument('--keys', type=int, help='how many different keys there must be')
    options = parser.parse_args()
    if options.mode == 'mcp':
        return serve_mcp(options.file, options.lose, options.delay_ms)
    if options.mode == 'check':
        result = check(options.file)
        print(json.dumps(result))
        wrong = options.keys is not None and result['keys'] != options.keys
        sys.exit(1 if result['duplicates'] or result['torn'] or wrong else 0)
    server = Server(options.file, options.port, options.lose, options.delay_ms)
    print(server.url, flush=True)
    try:
        server.serve_forever(poll_interval=0.05)
    except KeyboardInterrupt:
        pass
    return None


if __name__ == '__main__':
    main()

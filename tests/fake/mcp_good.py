#!/usr/bin/env python3
"""mcp_good - an MCP server that keeps a diary: mcp_good.py FILE [SECONDS].

Each process appends lines to FILE: "start PID", "list PID", "call PID TEXT", "answer PID TEXT", "end PID". `echo`
gives the text back after SECONDS, `look` does the same and is read-only, `never` does not answer. It works on one
call after the other.
"""

import json
import os
import sys
import time

FILE = sys.argv[1]
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
SCHEMA = {'type': 'object', 'properties': {'text': {'type': 'string'}}}
TOOLS = [
    {'name': 'echo', 'inputSchema': SCHEMA},
    {'name': 'look', 'inputSchema': SCHEMA, 'annotations': {'readOnlyHint': True}},
    {'name': 'never', 'inputSchema': SCHEMA},
]


def note(*words):
    with open(FILE, 'a', encoding='utf-8') as diary:
        diary.write(' '.join(map(str, words)) + '\n')


def say(request, result):
    sys.stdout.write(json.dumps({'jsonrpc': '2.0', 'id': request['id'], 'result': result}) + '\n')
    sys.stdout.flush()


def answer(request):
    method = request.get('method')
    if method == 'initialize':
        about = {'name': 'good', 'version': '1'}
        say(request, {'protocolVersion': '2025-06-18', 'capabilities': {'tools': {}}, 'serverInfo': about})
    elif method == 'tools/list':
        note('list', os.getpid())
        say(request, {'tools': TOOLS})
    elif method == 'tools/call':
        text = request['params'].get('arguments', {}).get('text', '')
        note('call', os.getpid(), text)
        if request['params']['name'] == 'never':
            return
        time.sleep(SECONDS)  # tidy: work takes its time
        note('answer', os.getpid(), text)
        say(request, {'content': [{'type': 'text', 'text': text}]})
    elif method:
        say(request, {})


note('start', os.getpid())
for line in sys.stdin:
    message = json.loads(line)
    if 'id' in message:
        answer(message)
note('end', os.getpid())

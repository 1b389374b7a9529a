#!/usr/bin/env python3
"""mcp_bad - an MCP server with one bad habit: mcp_bad.py HABIT [FILE].

silent      never answers anything
mute        greets, lists its tools, answers no call
dies        ends in each call with status 7, a word on stderr
kills       is killed (signal 9) in each call
noisy       writes 200 MB to stderr in each call, then answers
garbage     writes lines that are no messages, without end, from the start
stray       writes some such lines before each answer
long        answers a call with a line that never ends
wide        answers with 100 MB in a line
other       answers calls that nobody made
twice       answers each call twice
late        answers each call after 1.3 s, too late for who waits a second
closes      answers a call, then closes its input and lives on
crowd       its first process (FILE is not there yet) dies when it has 50 calls
deaf        greets and lists, then never reads again
stubborn    ignores the end of its input and SIGTERM
children    starts processes that would live for an hour; their numbers go to FILE
floods      sends notifications and requests as fast as it can, and answers
slow        answers each call after a second
"""

import json
import os
import signal
import subprocess
import sys
import time

HABIT = sys.argv[1] if len(sys.argv) > 1 else ''
FIRST = HABIT == 'crowd' and not os.path.exists(sys.argv[2])
calls = 0


def say(message):
    sys.stdout.write(json.dumps({'jsonrpc': '2.0', **message}) + '\n')
    sys.stdout.flush()


def crowded():
    """True: this call is not answered."""
    global calls
    calls += 1
    if calls == 50:
        with open(sys.argv[2], 'w', encoding='utf-8') as file:
            file.write('once')
        os._exit(9)
    return True


def call(request):
    if HABIT == 'mute' or (FIRST and crowded()):
        return
    if HABIT == 'dies':
        sys.stderr.write('last words\n')
        sys.stderr.flush()
        os._exit(7)
    if HABIT == 'kills':
        os.kill(os.getpid(), signal.SIGKILL)
    if HABIT == 'noisy':
        block = b'n' * 1023 + b'\n'
        for _ in range(200 * 1024):
            sys.stderr.buffer.write(block)
        sys.stderr.flush()
    if HABIT == 'stray':
        print('debug: about to answer\n\n{"level": "info"}', flush=True)
    if HABIT == 'long':
        while True:
            sys.stdout.write('x' * 1000000)
    if HABIT == 'wide':
        say({'id': request['id'], 'result': {'content': [{'type': 'text', 'text': 'w' * (100 << 20)}]}})
    if HABIT == 'other':
        say({'id': request['id'] + 1000, 'result': {'content': []}})
        say({'id': str(request['id']), 'result': {'content': []}})
        return
    if HABIT == 'late':
        time.sleep(1.3)  # tidy: likewise
    if HABIT == 'slow':
        time.sleep(1)  # tidy: being slow is its habit
    if HABIT == 'floods':
        for i in range(20000):
            say({'method': 'notifications/message', 'params': {'level': 'info', 'data': 'd' * 100}})
            say({'method': 'notifications/tools/list_changed'})
            if i % 10 == 0:
                say({'id': 'r%d' % i, 'method': 'ping'})
    text = request.get('params', {}).get('arguments', {}).get('text', '')
    say({'id': request['id'], 'result': {'content': [{'type': 'text', 'text': text}]}})
    if HABIT == 'twice':
        say({'id': request['id'], 'result': {'content': [{'type': 'text', 'text': 'the second answer'}]}})
    if HABIT == 'closes':
        os.close(0)
        time.sleep(3600)  # tidy: it lives on


def main():
    if HABIT == 'stubborn':
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if HABIT == 'garbage':
        while True:
            print('this is not a message')
    if HABIT == 'children':
        pids = [
            subprocess.Popen(['sh', '-c', 'sleep 3600 & echo $!; wait'], stdout=subprocess.PIPE).stdout.readline()
            for _ in range(2)
        ]
        with open(sys.argv[2], 'wb') as file:
            file.write(b''.join(pids))
    for line in sys.stdin:
        message = json.loads(line)
        method = message.get('method')
        if HABIT == 'silent' or 'id' not in message:
            continue
        if method == 'initialize':
            say(
                {
                    'id': message['id'],
                    'result': {
                        'protocolVersion': '2025-06-18',
                        'capabilities': {'tools': {'listChanged': True}},
                        'serverInfo': {'name': 'bad', 'version': HABIT},
                    },
                }
            )
        elif method == 'tools/list':
            say({'id': message['id'], 'result': {'tools': [{'name': 'echo', 'inputSchema': {'type': 'object'}}]}})
            if HABIT == 'deaf':
                time.sleep(3600)  # tidy: so is being deaf
        elif method == 'tools/call':
            call(message)
        elif method:
            say({'id': message['id'], 'result': {}})
    while HABIT == 'stubborn':
        time.sleep(1)  # tidy: and never ending


main()

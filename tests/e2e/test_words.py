"""The words of the command line: help, what is refused, and text of others that must not reach a terminal raw."""

import os
import re
import signal
import subprocess
import unittest

from world import TUTTI, Case

# Escape sequences, a C1 control, what turns the direction of writing, a line separator, a bell.
HOSTILE = '\x1b[31mE\u009b2J\u202eR\u2028L\x07'
RAW = re.compile('[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]')
ECHO = 'agents: {a: {type: lua, script: return message}}\nworkflows: {w: {type: chain, sequence: [a]}}\n'
SLOW = 'agents: {a: {type: exec, command: [sleep, "20"]}}\nworkflows: {w: {type: chain, sequence: [a]}}\n'
SERVER = r'''
import json, sys
H = '\x1b[31mE\u009b2J\u202eR'
for line in sys.stdin:
    m = json.loads(line)
    result = {}
    if 'id' not in m:
        continue
    if m['method'] == 'initialize':
        result = {'protocolVersion': m['params']['protocolVersion'], 'capabilities': {'tools': {}},
                  'serverInfo': {'name': 's' + H, 'version': '1' + H}}
    elif m['method'] == 'tools/list':
        result = {'tools': [{'name': 'bad', 'description': 'does ' + H, 'inputSchema': {'type': 'object'}}]}
    elif m['method'] == 'tools/call':
        result = {'content': [{'type': 'text', 'text': 'no ' + H}], 'isError': True}
    print(json.dumps({'jsonrpc': '2.0', 'id': m['id'], 'result': result}), flush=True)
'''


class Words(Case):
    def test_help(self):
        usage = self.tutti('run', '--help', code=0).out
        self.assertTrue(usage.startswith('usage: tutti run '), usage)
        for words in (['help', 'run'], ['run', '-h'], ['run', 'x.yaml', '--help'], ['run', '--json', '--help']):
            self.assertEqual(self.tutti(*words, code=0).out, usage)
        self.assertIn('runs show ID', self.tutti('runs', 'ls', '--help', code=0).out)
        self.assertIn("no command 'nope'", self.tutti('help', 'nope', code=2).err)
        self.assertIn('usage: tutti COMMAND', self.tutti('--help', code=0).out)
        self.write('tutti.yaml', ECHO)
        self.assertEqual(self.tutti('run', '-i', '--help', '--quiet', code=0).out, '--help\n')

    def test_what_has_no_effect_is_refused(self):
        self.write('tutti.yaml', ECHO)
        for words, told in (
            (['run', '--json', '--events'], 'not both'),
            (['runs', 'resume', 'x', '--json', '--events'], 'not both'),
            (['send', 'x', 'y', '--json', '--events'], 'not both'),
            (['batch', 'x', '--input', 'y', '--output', 'z', '--json', '--events'], 'not both'),
            (['run', '--strict=yes'], "'--strict' takes no value"),
            (['schema', 'x'], "'x' is one word too many"),
            (['version', 'x'], "'x' is one word too many"),
            (['init', 'x', 'y'], "'y' is one word too many"),
            (['doctor', 'x', 'y'], "'y' is one word too many"),
            (['mcp', 'ls', 'x'], "'x' is one word too many"),
            (['runs', 'ls', 'x'], "'x' is one word too many"),
            (['runs', 'show', 'a', 'b'], "'b' is one word too many"),
            (['runs', 'ls', '--from', 'x'], "'runs ls' does not know the option '--from'"),
            (['runs', 'logs', 'x', '--timeline'], "'runs logs' does not know the option '--timeline'"),
            (['runs', 'ls', '-i', 'x=1'], "'runs ls' does not know the option '--input'"),
            (['runs', 'show', 'x', '-i', 'x'], "'runs show' does not know the option '--input'"),
        ):
            done = self.tutti(*words, code=2)
            self.assertIn(told, done.err)
            self.assertEqual(done.out, '')
        self.assertFalse(os.path.exists(self.path('.tutti')))

    def test_a_dry_run_as_json(self):
        self.write('tutti.yaml', ECHO)
        plan = self.tutti('run', '--dry-run', '--json', code=0).json
        self.assertEqual([n['id'] for n in plan['nodes']], ['a'])
        self.assertIn(plan['plan'], self.tutti('run', '--dry-run', code=0).out)

    def test_nothing_foreign_moves_the_cursor(self):
        fails = 'printf "\\033[31mboom\\302\\2332J" >&2; exit 1'
        ask = {'id': 'ask', 'type': 'human', 'prompt': 'well?' + HOSTILE, 'choices': ['yes' + HOSTILE, 'no']}
        undo = {'agent': 'ok', 'action': 'undo' + HOSTILE}
        self.flow(
            profiles={'p': {'provider': 'script', 'replies': [{'match': '', 'text': 'said' + HOSTILE}]}},
            agents={
                'ann': {'description': 'about' + HOSTILE, 'use_history': True},
                'ok': {'type': 'exec', 'command': ['echo', 'ok']},
                'fails': {'type': 'exec', 'command': ['sh', '-c', fails]},
                'tool': {'type': 'mcp', 'server': 's'},
            },
            mcp_servers={'s': {'command': 'python3', 'args': [self.write('server.py', SERVER)]}},
            workflows={
                'main': {
                    'failure_strategy': 'partial_completion_allowed',
                    'nodes': [
                        {'id': 'one', 'agent': 'ok', 'when': "inputs.x ~= '\u009b\u202e'", 'compensate': undo},
                        {'id': 'two', 'agent': 'ann'},
                        {'id': 'three', 'agent': 'fails'},
                        {'id': 'four', 'agent': 'tool', 'action': 'bad'},
                        dict(ask, depends_on=['two']),
                    ],
                },
                'talk': {'type': 'chain', 'sequence': ['ann']},
            },
        )
        seen = []
        self.tutti('run', 'flow.json', 'talk', '-i', 'x', '--conversation', 'c', code=0)
        self.tutti('run', 'flow.json', 'main', '-i', 'x', '--run-id', 'h', code=4)
        for words in (
            ['validate', 'flow.json'], ['runs', 'ls'], ['runs', 'show', 'h'], ['runs', 'show', 'h', '--timeline'],
            ['runs', 'logs', 'h'], ['graph', '--run', 'h'], ['graph', '--run', 'h', '-f', 'mermaid'],
            ['graph', '--run', 'h', '-f', 'dot'], ['gate', 'ls'], ['gate', 'respond', 'h', 'maybe'],
            ['runs', 'history'],
            ['agents', 'flow.json', '--probe'], ['mcp', 'tools', '-f', 'flow.json'], ['mcp', 'ls', '-f', 'flow.json'],
            ['stats'], ['doctor', 'flow.json'], ['gate', 'respond', 'h', 'no', '--resume'],
            ['runs', 'rollback', 'h', '--dry-run'], ['runs', 'replay', 'h'], ['runs', 'show', 'x\u009b'],
            ['run', 'flow.json', 'm\x1b'], ['run', 'f\x1b.json'], ['x\x1b'], ['run', '--x\x1b'],
        ):
            done = self.tutti(*words)
            for line in (done.out + done.err).split('\n'):
                self.assertIsNone(RAW.search(line), (words, ascii(line)))
            seen.append(done.out + done.err)
        told = ''.join(seen)
        for word in ('well? [31mE', '[31mboom 2J', 'about [31mE', 'does  [31mE', 'undo [31mE', 'said [31mE'):
            self.assertIn(word, told)

    def test_results_are_as_they_are_in_a_pipe(self):
        self.write('tutti.yaml', ECHO)
        self.assertEqual(self.tutti('run', '--quiet', '-i', 'x' + HOSTILE, code=0).out, f'x{HOSTILE}\n')
        shown = self.at_terminal(['run', self.path('tutti.yaml'), '-i', 'x' + HOSTILE], [])
        self.assertNotIn(HOSTILE.encode(), shown)
        self.assertIn('x [31mE 2J R L '.encode(), shown)

    def test_an_output_that_cannot_be_written(self):
        """A full disk is no success; a reader that has left, or nobody at all, is nobody's fault."""
        self.write('tutti.yaml', ECHO)
        for words in (['run', '-i', 'x', '-q'], ['run', '-i', 'x', '--json'], ['graph'], ['schema']):
            with open('/dev/full', 'wb') as full:
                child = subprocess.run([TUTTI, *words], stdout=full, stderr=subprocess.PIPE, cwd=self.dir, env=self.env)
            self.assertEqual(child.returncode, 1, words)
            self.assertIn(b'could not be written', child.stderr)
        self.assertEqual(len(self.runs()), 2)
        for words in ('run -i x -q >&-', 'run -i x --events | head -1'):
            done = subprocess.run(['bash', '-o', 'pipefail', '-c', f'{TUTTI} {words}'], cwd=self.dir, env=self.env,
                                  capture_output=True)
            self.assertEqual(done.returncode, 0, done)
            self.assertNotIn(b'could not be', done.stderr)

    def test_an_answer_and_what_comes_of_it_are_one_document(self):
        self.write('ask.yaml', 'nodes: [{id: q, type: human, prompt: "Well?"}]\n')
        self.tutti('run', 'ask.yaml', '--run-id', 'q', '-i', 'x', code=4)
        told = self.tutti('gate', 'respond', 'q', 'fine', '--resume', '--json', code=0).json
        self.assertEqual((told['status'], told['output']), ('completed', 'fine'))

    def test_an_interrupt_at_any_moment(self):
        """Also before there is a run: it is parked as soon as it is there, and nothing of it is lost."""
        self.write('tutti.yaml', SLOW)
        for after_ms in range(0, 60, 5):
            child = self.start('run', '-i', 'x', '--quiet')
            try:
                child.wait(after_ms / 1000)
                self.fail('it ended by itself')
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGINT)
            done = self.end(child, seconds=10)
            self.assertIn(done.code, (-signal.SIGINT, 130), (after_ms, done))


if __name__ == '__main__':
    unittest.main()

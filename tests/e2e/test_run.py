"""`tutti run`: exit codes, inputs, the document, events, names of runs, the environment."""

import json
import os
import re
import signal
import stat
import time
import unittest

from world import Case, SECRET, wait_for

ECHO = '''
profiles:
  echo: {provider: script, echo: true}
  broken: {provider: script, replies: [{text: x, error: 400}]}
  slow: {provider: script, replies: [{text: late, delay: 20s}]}
default_profile: echo
agents:
  a: {instruction: A}
  b: {instruction: B}
  bad: {profile: broken}
  sleeper: {profile: slow}
  say: {type: lua, script: "return {inputs = parameters, input = input, message = message}"}
workflows:
  main: {type: chain, sequence: [a, b]}
  fails: {nodes: [{id: x, agent: bad}]}
  part: {failure_strategy: partial_completion_allowed, nodes: [{id: x, agent: bad}, {id: y, agent: a}]}
  sleeps: {nodes: [{id: x, agent: sleeper}]}
  shows: {nodes: [{id: x, agent: say, parameters: {n: "{{ inputs.n }}", all: "{{ inputs }}"}}]}
'''


class ExitCodes(Case):
    def setUp(self):
        super().setUp()
        self.write('tutti.yaml', ECHO)

    def test_done_failed_partial(self):
        self.tutti('run', '-i', 'x', code=0)
        done = self.tutti('run', 'tutti.yaml', 'fails', '-i', 'x', code=1)
        self.assertIn("node 'x'", done.err)
        done = self.tutti('run', 'tutti.yaml', 'part', '-i', 'x', code=0)
        self.assertIn('warning', done.err)
        self.tutti('run', 'tutti.yaml', 'part', '-i', 'x', '--strict', code=5)

    def test_usage(self):
        for words, says in (
            (('run', '--jsno'), "did you mean '--json'?"),
            (('rnu',), "did you mean 'run'?"),
            (('run', 'tutti.yaml', 'main', 'more'), 'more'),
            (('run', '-i'), 'needs a value'),
            (('run', 'not-here.yaml'), 'not-here.yaml'),
            (('run', 'tutti.yaml', 'nmain'), "nmain"),
            (('run', '-i', '@not-here'), 'not-here'),
            (('run', '-m', 'nosuch', '-i', 'x'), 'nosuch'),
            (('runs', 'show'), 'id'),
            (('runs', 'show', 'nothing'), 'nothing'),
            (('runs', 'ls', '--status', 'good'), 'good'),
            (('runs', 'prune', '--older-than', 'soon'), 'soon'),
            (('graph', '--format', 'png'), 'svg'),
            (('mcp', 'eat'), 'eat'),
            ((), 'usage'),
        ):
            with self.subTest(words=words):
                done = self.tutti(*words, code=2)
                self.assertIn(says, done.err)
                self.assertEqual(done.out, '')

    def test_help(self):
        for words in (('help',), ('--help',), ('-h',), ('run', '--help'), ('runs', '--help')):
            self.assertIn('usage: tutti', self.tutti(*words, code=0).out)
        self.assertRegex(self.tutti('--version', code=0).out, r'^tutti \d+\.\d+\.\d+\n$')
        self.assertIn('version', self.tutti('version', '--json', code=0).json)

    def test_no_file_here(self):
        os.mkdir(self.path('empty'))
        done = self.tutti('run', '-i', 'x', cwd=self.path('empty'), code=2)
        self.assertIn('tutti init', done.err)

    def test_invalid_file_tells_all_mistakes_at_once(self):
        self.write(
            'bad.yaml', 'agnets: {}\nagents:\n  a: {type: llmm}\nworkflows:\n  w: {type: chain, sequence: [b]}\n'
        )
        for command in ('run', 'validate', 'graph'):
            done = self.tutti(command, 'bad.yaml', code=3)
            for place, says in (('bad.yaml:1:1', 'agents'), ('bad.yaml:3:', 'llm'), ('bad.yaml:5:', "'b'")):
                self.assertRegex(done.err, re.escape(place) + '.*' + re.escape(says))
        self.assertFalse(os.path.exists(self.path('.tutti', 'x')))

    def test_interrupted(self):
        child = self.start('run', 'tutti.yaml', 'sleeps', '-i', 'x')
        done = self.interrupt_when(child, self.is_running)
        self.assertEqual(done.code, 130, done)
        self.assertRegex(done.err, 'tutti runs resume \\w{26}')
        self.assertLess(done.seconds, 3)

    def test_terminated(self):
        child = self.start('run', 'tutti.yaml', 'sleeps', '-i', 'x')
        done = self.interrupt_when(child, self.is_running, signal.SIGTERM)
        self.assertEqual(done.code, 130, done)

    def test_stdout_closed_early(self):
        child = self.start('run', '-i', 'x', '--events')
        child.stdout.close()
        child.stdout = None
        child.wait(10)
        self.assertEqual([r['status'] for r in self.runs()], ['completed'])


class Inputs(Case):
    def setUp(self):
        super().setUp()
        self.write('tutti.yaml', ECHO)

    def shows(self, *words, **more):
        return self.run_ok('tutti.yaml', 'shows', *words, **more)['output']

    def test_forms(self):
        self.write('note.txt', 'from a file\n')
        self.write('n.json', '{"deep": [1, 2]}')
        for words, stdin, inputs, message in (
            (['-i', 'hello there'], None, {}, 'hello there'),
            (['-i', 'n=3'], None, {'n': 3}, '{"n":3}'),
            (['-i', 'n=three'], None, {'n': 'three'}, '{"n":"three"}'),
            (['-i', 'n="3"'], None, {'n': '3'}, '{"n":"3"}'),
            (['-i', 'n=[1,{"a":null}]'], None, {'n': [1, {'a': None}]}, '{"n":[1,{"a":null}]}'),
            (['-i', 'n='], None, {'n': ''}, '{"n":""}'),
            (['-i', 'n=a=b'], None, {'n': 'a=b'}, '{"n":"a=b"}'),
            (['-i', 'n=@n.json'], None, {'n': {'deep': [1, 2]}}, '{"n":{"deep":[1,2]}}'),
            (['-i', 'n=@note.txt'], None, {'n': 'from a file\n'}, '{"n":"from a file\\n"}'),
            (['-i', '@note.txt'], None, {}, 'from a file\n'),
            (['-i', 'n=1', '-i', 'text'], None, {'n': 1}, 'text'),
            (['-i', 'one', '-i', 'two'], None, {}, 'one\ntwo'),
            (['-i', '@-'], 'by pipe', {}, 'by pipe'),
            ([], 'by pipe', {}, 'by pipe'),
            (['--input=x y'], None, {}, 'x y'),
            (['-i', '2 + 2 = 4'], None, {}, '2 + 2 = 4'),
            (['-i', 'Grüße 👋'], None, {}, 'Grüße 👋'),
        ):
            with self.subTest(words=words):
                seen = self.shows(*words, input=stdin)
                self.assertEqual(seen['message'], message)
                self.assertEqual(seen['inputs'].get('all') or {}, inputs)

    def test_declared_inputs_are_checked(self):
        self.write(
            'tutti.yaml',
            ECHO.replace('inputs.n }}", all', 'inputs.n }}", all').replace(
                'shows: {', 'shows: {inputs: {type: object, required: [n], properties: {n: {type: integer}}}, '
            ),
        )
        self.assertEqual(self.shows('-i', 'n=4')['inputs']['n'], 4)
        for words in (['-i', 'n=four'], ['-i', 'text']):
            done = self.tutti('run', 'tutti.yaml', 'shows', *words)
            self.assertIn(done.code, (2, 3))
            self.assertIn('n', done.err)
        self.assertEqual(len(self.runs()), 1)

    def test_unknown_binary_input(self):
        with open(self.path('bytes'), 'wb') as opened:
            opened.write(b'ab\xff\xfe\x00cd')
        self.assertIn('ab', self.shows('-i', '@bytes')['message'])


class Document(Case):
    NODE = {
        'type': str,
        'agent': str,
        'status': str,
        'attempts': int,
        'started': int,
        'duration_ms': int,
        'usage': dict,
    }

    def setUp(self):
        super().setUp()
        self.write('tutti.yaml', ECHO)

    def test_shape_is_the_readmes(self):
        doc = self.run_ok('-i', 'hello')
        self.assertEqual(
            list(doc), ['run', 'workflow', 'status', 'output', 'text', 'error', 'nodes', 'usage', 'duration_ms']
        )
        self.assertRegex(doc['run'], '^[0-9A-Z]{26}$')
        self.assertEqual(
            (doc['workflow'], doc['status'], doc['output'], doc['text'], doc['error']),
            ('main', 'completed', 'hello', 'hello', None),
        )
        self.assertEqual(list(doc['nodes']), ['a', 'b'])
        for node in doc['nodes'].values():
            for key, kind in self.NODE.items():
                self.assertIsInstance(node[key], kind)
        self.assertEqual(doc['usage']['model_calls'], 2)
        shown = self.tutti('runs', 'show', doc['run'], '--json', code=0).json
        self.assertEqual(shown, doc)

    def test_failed(self):
        done = self.tutti('run', 'tutti.yaml', 'fails', '-i', 'x', '--json', code=1)
        doc = done.json
        self.assertEqual((doc['status'], doc['output'], doc['text']), ('failed', None, None))
        self.assertIn('400', doc['error'])
        self.assertEqual(doc['nodes']['x']['status'], 'failed')
        self.assertEqual(self.tutti('runs', 'show', doc['run'], '--json', code=0).json, doc)

    def test_text_goes_to_stdout_progress_to_stderr(self):
        done = self.tutti('run', '-i', 'hello', code=0)
        self.assertEqual(done.out, 'hello\n')
        self.assertRegex(done.err, r'\+ a .*\n')
        done = self.tutti('run', '-i', 'hello', '--quiet', code=0)
        self.assertEqual((done.out, done.err), ('hello\n', ''))

    def test_dry_run_runs_nothing(self):
        done = self.tutti('run', '-i', 'hello', '--dry-run', code=0)
        self.assertIn('nothing was run', done.out)
        self.assertFalse(os.path.exists(self.path('.tutti')))


class Events(Case):
    def setUp(self):
        super().setUp()
        self.write('tutti.yaml', ECHO)

    def check(self, events):
        run = events[0]['run']
        self.assertEqual(events[0]['event'], 'run.started')
        self.assertTrue(events[-1]['event'].startswith('run.'), events[-1])
        for event in events:
            self.assertEqual(event['run'], run)
            self.assertRegex(event['time'], r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$')
        seqs = [event['seq'] for event in events if 'seq' in event]
        self.assertEqual(seqs, sorted(set(seqs)))
        times = [event['time'] for event in events]
        self.assertEqual(times, sorted(times))
        begun, ended = set(), set()
        for event in events:
            name, path = event['event'], event['path']
            if name == 'node.started':
                begun.add(path)
            elif name.startswith('node.') and name != 'node.retrying':
                self.assertIn(path, begun | ({path} if name == 'node.skipped' else set()))
                self.assertNotIn(path, ended)
                ended.add(path)
        self.assertLessEqual(begun, ended)

    def test_valid_and_ordered(self):
        for workflow, code in (('main', 0), ('fails', 1), ('part', 0)):
            with self.subTest(workflow=workflow):
                done = self.tutti('run', 'tutti.yaml', workflow, '-i', 'x', '--events', code=code)
                self.check(done.lines)
                run = done.lines[0]['run']
                logged = self.tutti('runs', 'logs', run, '--json', code=0).lines
                self.check(logged)
                self.assertEqual([e['seq'] for e in logged], list(range(1, len(logged) + 1)))

    def test_pieces_of_text(self):
        server = self.model({'chunk': 4})
        self.flow(
            's.json',
            profiles={'m': self.profile(server, stream=True)},
            default_profile='m',
            agents={'a': {}},
            workflows={'w': {'type': 'chain', 'sequence': ['a']}},
        )
        done = self.tutti(
            'run', 's.json', '-i', 'hello streaming world', '--events', code=0, env={'MODEL_KEY': SECRET}
        )
        self.check(done.lines)
        pieces = ''.join(e.get('text', '') for e in done.lines if e['event'] == 'agent.chunk')
        if pieces:
            self.assertEqual(pieces, 'echo: hello streaming world')


class RunId(Case):
    def setUp(self):
        super().setUp()
        self.write('tutti.yaml', ECHO)

    def test_a_run_is_found_by_the_name_it_was_given(self):
        """Names may be longer than ids, and have other letters."""
        for name in ('order:7', 'Ann and Bob', 'a/b', 'business_analysis_001_of_2026-11-21', 'é' * 60):
            run = self.run_ok('-i', 'x', '--run-id', name)['run']
            self.assertEqual(self.tutti('runs', 'show', name, '--json', code=0).json['run'], run)
            self.assertEqual(self.tutti('graph', '--run', name, '--json', code=0).json['type'], 'chain')
        self.assertIn("'order:8' is not a run id", self.tutti('runs', 'show', 'order:8', code=2).err)
        self.assertIn('is empty', self.tutti('run', '-i', 'x', '--run-id', '', code=2).err)
        broken = b'x\xff'.decode('utf8', 'surrogateescape')
        self.assertIn('not valid UTF-8', self.tutti('run', '-i', 'x', '--run-id', broken, code=2).err)

    def test_the_same_start_twice_is_one_run(self):
        one = self.run_ok('-i', 'x', '--run-id', 'order-7')
        two = self.run_ok('-i', 'x', '--run-id', 'order-7')
        self.assertEqual(one, two)
        self.assertEqual(len(self.runs()), 1)
        self.assertEqual(self.runs()[0]['name'], 'order-7')

    def test_another_start_of_that_name_is_refused(self):
        self.run_ok('-i', 'x', '--run-id', 'order-7')
        for words in (['-i', 'y'], ['tutti.yaml', 'part', '-i', 'x'], ['-i', 'n=1']):
            done = self.tutti('run', *words, '--run-id', 'order-7')
            self.assertIn(done.code, (1, 2), done)
            self.assertIn('order-7', done.err)
        self.assertEqual(len(self.runs()), 1)

    def test_it_names_the_run_everywhere(self):
        self.run_ok('-i', 'x', '--run-id', 'order-7', '--goal', 'books')
        for command in ('show', 'logs'):
            self.assertTrue(self.tutti('runs', command, 'order-7', code=0).out)

    def test_a_failed_run_is_the_same_run_too(self):
        self.tutti('run', 'tutti.yaml', 'fails', '-i', 'x', '--run-id', 'f', code=1)
        self.tutti('run', 'tutti.yaml', 'fails', '-i', 'x', '--run-id', 'f', code=1)
        self.assertEqual(len(self.runs()), 1)


class Environment(Case):
    FILE = '''
agents:
  show: {type: exec, command: [sh, -c, 'printf %s "${A_VALUE:-fallback}${B_VALUE:-}"'], effect: pure}
  needs: {type: exec, command: [echo, "${NOT_THERE}"], effect: pure}
  literal: {type: exec, command: [printf, "%s", "$${A_VALUE}"], effect: pure}
workflows:
  main: {type: chain, sequence: [show]}
  other: {type: chain, sequence: [needs]}
  lit: {type: chain, sequence: [literal]}
'''

    def setUp(self):
        super().setUp()
        self.write('tutti.yaml', self.FILE)

    def text(self, *words, **more):
        return self.run_ok(*words, '-i', 'x', **more)['text']

    def test_precedence(self):
        self.assertEqual(self.text(), 'fallback')
        self.write('.env', '# a comment\nA_VALUE=dotenv\nexport B_VALUE="!"\n')
        self.assertEqual(self.text(), 'dotenv!')
        self.assertEqual(self.text(env={'A_VALUE': 'real'}), 'real!')
        self.assertEqual(self.text(env={'A_VALUE': ''}), 'fallback!')

    def test_dotenv_beside_the_file(self):
        os.mkdir(self.path('sub'))
        self.write('sub/flow.yaml', self.FILE)
        self.write('sub/.env', 'A_VALUE=sub\n')
        self.write('.env', 'A_VALUE=top\n')
        self.assertEqual(self.text('sub/flow.yaml', 'main'), 'sub')

    def test_literal(self):
        self.assertEqual(self.text('tutti.yaml', 'lit', env={'A_VALUE': 'real'}), '${A_VALUE}')

    def test_missing_is_an_error_only_when_used(self):
        self.assertEqual(self.text(), 'fallback')
        done = self.tutti('run', 'tutti.yaml', 'other', '-i', 'x', code=1)
        self.assertIn('NOT_THERE', done.err)
        done = self.tutti('validate', code=0)
        self.assertIn('NOT_THERE', done.err)

    def test_settings_by_environment(self):
        self.write(
            'tutti.yaml',
            '''
profiles: {p: {provider: script, replies: [{text: ok, error: {status: 503, times: 2}}]}}
agents: {a: {}}
workflows: {main: {type: chain, sequence: [a]}}
''',
        )
        quick = {'RETRY_DELAY': '0.01'}
        self.assertEqual(self.run_ok('-i', 'x', env=quick)['nodes']['a']['attempts'], 3)
        self.tutti('run', '-i', 'x', code=1, env=dict(quick, RETRY_ATTEMPTS='2'))
        self.tutti('run', '-i', 'x', code=0, env=dict(quick, RETRY_ATTEMPTS='2', TUTTI_SETTINGS__RETRY_ATTEMPTS='3'))

    def test_store_by_environment_and_option(self):
        self.text(env={'TUTTI_STORE': self.path('here')})
        self.assertTrue(os.path.exists(self.path('here', 'tutti.db')))
        self.text('--store', self.path('there'))
        self.assertTrue(os.path.exists(self.path('there', 'tutti.db')))
        self.assertFalse(os.path.exists(self.path('.tutti')))
        mode = os.stat(self.path('there')).st_mode
        self.assertFalse(mode & (stat.S_IRWXG | stat.S_IRWXO), oct(mode))


class Meters(Case):
    def test_what_the_process_used(self):
        """Limits, breakers and connections, once the run is over; nothing of it on stdout."""
        server = self.model({'rules': [{'reply': {'echo': True}}]})
        self.env['MODEL_KEY'] = 'k'
        limits = {'rpm': 60, 'tpm': 90000, 'max_concurrency': 2}
        path = self.flow(
            'tutti.json',
            profiles={'p': self.profile(server, limits=limits)},
            default_profile='p',
            agents={'a': {'instruction': 'x', 'circuit_breaker': {'failure_threshold': 3}}},
            workflows={'main': {'type': 'parallel', 'fan_out': ['a', 'a', 'a']}},
        )
        done = self.tutti('run', path, '-i', 'x', '--stats', '--json', code=0)
        self.assertEqual(done.json['status'], 'completed')
        self.assertRegex(done.err, r'this process: 3 steps, 0 from the journal')
        self.assertRegex(done.err, r'3 of 60 rpm, \d+ of 90000 tpm, 3 calls')
        self.assertRegex(done.err, r'breaker openai:m-1: closed, opened 0 times')


if __name__ == '__main__':
    unittest.main()

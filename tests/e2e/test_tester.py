"""`tutti test`: tests that stand in files."""

import os
import xml.dom.minidom

from world import Case, EXAMPLES, SECRET, wait_for

FLOW = '''
agents:
  a: {instruction: one}
  b: {instruction: two}
  shop: {type: http, endpoint: "http://127.0.0.1:9/", retry: {max_attempts: 1}}
workflows:
  main: {type: chain, sequence: [a, b]}
  buy: {nodes: [{id: get, agent: shop, action: fetch}, {id: say, agent: a, input: "{{ steps.get.output.n }}"}]}
  lines: {type: chain, sequence: [a]}
  choose: {type: router, agents: [a, b]}
'''


class Tests(Case):
    def check(self, tests, *words, code=None, **more):
        self.write('flow.yaml', FLOW)
        self.write('flow.test.yaml', {'include': ['flow.yaml'], 'tests': tests})
        return self.tutti('test', 'flow.test.yaml', *words, code=code, **more)

    def failures(self, test):
        report = self.check({'t': test}, '--json', code=1).json
        self.assertEqual((report['passed'], report['failed']), (0, 1))
        return report['tests'][0]['failures']

    def test_the_example(self):
        done = self.tutti('test', os.path.join(EXAMPLES, 'greeting.test.yaml'), code=0)
        self.assertIn('4 passed, 0 failed', done.out)
        self.assertLess(done.seconds, 10)  # a virtual clock: its runs take two days and more

    def test_what_is_told_of_a_failure(self):
        replies = {'a': 'x', 'b': {'json': {'n': 1, 'l': [{'k': 'v'}]}}}
        expect = {
            'status': 'partial',
            'output': 'y',
            'contains': ['n', 'zebra'],
            'excludes': 'n',
            'matches': ['"n": ?1', '^z'],
            'when': ["output == 'z'", 'steps.a.status == "completed"'],
            'nodes': {'a': 'completed', 'b': 'failed', 'c': 'completed'},
        }
        failures = self.failures({'workflow': 'main', 'replies': replies, 'expect': expect})
        what = [(f['what'], f.get('expected')) for f in failures]
        self.assertEqual(
            what,
            [
                ('status', 'partial'),
                ('output', 'y'),
                ('contains', 'zebra'),
                ('excludes', 'n'),
                ('matches', '^z'),
                ('when', "output == 'z'"),
                ('node b', 'failed'),
                ('node c', 'completed'),
            ],
        )

    def test_members_of_an_output(self):
        test = {'workflow': 'buy', 'replies': {'shop': {'json': {'n': 4.0}}, 'a': 'fine'}}
        out = self.check({'t': dict(test, expect={'output': 'fine', 'nodes': {'get': {'output': {'n': 4}}}})}, code=0)
        self.assertIn('1 passed, 0 failed', out.out)
        (one,) = self.failures(dict(test, expect={'json': {'x.y': 1}}))
        self.assertEqual(one['what'], 'json x.y')

    def test_texts_are_compared_line_by_line(self):
        test = {'workflow': 'lines', 'replies': {'a': 'one\ntwo\nthree'}, 'expect': {'output': 'one\n2\nthree'}}
        (one,) = self.failures(test)
        self.assertEqual(one['diff'], '@@ -1,3 +1,3 @@\n one\n-2\n+two\n three\n')
        self.assertIn('-2\n', self.check({'t': test}, code=1).out)

    def test_a_reply_that_nobody_said(self):
        (one,) = self.failures({'workflow': 'main', 'replies': {'a': 'x'}, 'expect': {}})
        self.assertIn("'x'", one['actual'])
        (one,) = self.failures({'workflow': 'main', 'replies': {'zed': 'x'}, 'expect': {}})
        self.assertIn("there is no such agent", one['actual'])

    def test_turns_and_everybody_else(self):
        judged = {'json': {'agent': 'b', 'confidence': 1, 'reason': 'r'}}
        test = {'workflow': 'choose', 'replies': {'*': judged, 'b': 'me'}, 'expect': {'output': 'me'}}
        self.check({'t': test}, code=0)
        self.check({'t': {'workflow': 'main', 'replies': ['always'], 'expect': {'output': 'always'}}}, code=0)

    def test_nothing_outside_is_called(self):
        """With a virtual clock there is no network; with a real one there is, when it is wanted."""
        (one,) = self.failures({'workflow': 'buy', 'replies': {'a': 'x'}, 'expect': {}})
        self.assertEqual(one['what'], 'status')
        self.assertIn("say `clock: real`", one['actual'])
        (one,) = self.failures({'workflow': 'buy', 'clock': 'real', 'replies': {'a': 'x'}, 'expect': {}})
        self.assertIn('127.0.0.1', one['actual'])

    def test_some_of_them(self):
        tests = {name: {'workflow': 'lines', 'replies': ['x'], 'expect': {}} for name in ('first', 'second', 'third')}
        self.assertEqual(self.check(tests, '--filter', 's', '--json', code=0).json['passed'], 2)
        self.assertEqual(self.check(tests, '--filter', 't*', '--json', code=0).json['passed'], 1)
        self.assertIn("did you mean 'third'", self.check(tests, '--filter', 'thrid', code=2).err)

    def test_mistakes_have_an_address(self):
        self.write('flow.yaml', FLOW + 'tests:\n  t: {workflow: main, expct: {}}\n  u: {expect: {status: ok}}\n')
        done = self.tutti('test', 'flow.yaml', code=3)
        lines = done.err.strip().split('\n')
        self.assertEqual(len(lines), 2, done)
        self.assertRegex(lines[0], r"^flow.yaml:\d+:\d+: .*did you mean 'expect'")
        self.assertRegex(lines[1], r"^flow.yaml:\d+:\d+: .*'ok'")
        self.write('none.yaml', FLOW)
        self.assertIn('has no `tests`', self.tutti('test', 'none.yaml', code=2).err)
        self.assertNotEqual(self.tutti('test', 'not-here.yaml').code, 0)

    def folder(self):
        """A folder as people have it: a flow with tests, tests in files of their own, and things that are none."""
        one = {'workflow': 'lines', 'replies': ['x'], 'expect': {'output': 'x'}}
        self.write('tutti.yaml', FLOW)
        self.write('a.test.yaml', {'include': ['tutti.yaml'], 'tests': {'first': one, 'shared': one}})
        self.write('below/tutti.yaml', FLOW + 'tests: {never: {}}\n')
        self.write('below/b.test.json', {'include': ['tutti.yaml'], 'tests': {'second': one, 'shared': one}})
        self.write('.hidden/c.test.yaml', {'tests': {'hidden': {}}})
        self.write('notes.yaml', 'no flow: at all\n')
        os.symlink('.', self.path('round'))

    def told(self, report):
        return [(t['file'], t['name'], t['ok']) for t in report['tests']]

    def test_files_and_folders(self):
        self.folder()
        below = [('below/b.test.json', n, n != 'never') for n in ('second', 'shared', 'never')]
        above = [('a.test.yaml', 'first', True), ('a.test.yaml', 'shared', True)]
        for words in (['.'], [], ['a.test.yaml', '.', 'below/../a.test.yaml'], ['.', 'below/b.test.json']):
            report = self.tutti('test', '--json', *words, code=1).json
            self.assertEqual(self.told(report), above + below)
            self.assertEqual((report['passed'], report['failed'], report['errors']), (4, 1, []))
        out = self.tutti('test', 'a.test.yaml', 'below/b.test.json', code=1).out
        self.assertRegex(out, r'(?s)^a.test.yaml\n  ok    first.*\nbelow/b.test.json\n.*\n4 passed, 1 failed\n$')
        # A folder's tutti.yaml belongs to it, whether or not there are tests in it.
        self.assertEqual(self.told(self.tutti('test', '--json', 'below', '--filter', 'ever', code=1).json)[0],
                         ('below/tutti.yaml', 'never', False))

    def test_a_filter_over_files(self):
        self.folder()
        self.assertEqual(len(self.tutti('test', '.', '--json', '--filter', 'shared', code=0).json['tests']), 2)
        self.assertEqual(self.tutti('test', '.', '--filter', 'first', code=0).out.count('.test.'), 1)
        self.assertIn("did you mean 'shared'", self.tutti('test', '.', '--filter', 'shraed', code=2).err)

    def test_a_wrong_file_keeps_no_other_from_being_run(self):
        self.folder()
        self.write('below/wrong.test.yaml', 'include: [nope.yaml]\ntests: {t: {expct: {}}}\n')
        self.write('zeta.test.yaml', FLOW)
        done = self.tutti('test', '.', '--filter', 's*', '--junit', 'out.xml', code=3)
        self.assertIn('3 passed, 0 failed, 2 files could not be run', done.out)
        self.assertRegex(done.err, r'(?m)^below/wrong.test.yaml:1:11: cannot include')
        self.assertRegex(done.err, r"(?m)^below/wrong.test.yaml:2:\d+: .*did you mean 'expect'")
        self.assertIn("'zeta.test.yaml' has no `tests`", done.err)
        report = self.tutti('test', '.', '--json', code=3).json
        self.assertEqual([e['file'] for e in report['errors']], ['below/wrong.test.yaml'] * 2 + ['zeta.test.yaml'])
        self.assertRegex(report['errors'][0]['error'], '^below/wrong.test.yaml:1:11: ')
        suites = xml.dom.minidom.parse(self.path('out.xml')).getElementsByTagName('testsuite')
        told = [[s.getAttribute(name) for name in ('name', 'tests', 'failures', 'errors')] for s in suites]
        self.assertEqual(told, [['a.test.yaml', '1', '0', '0'], ['below/b.test.json', '2', '0', '0'],
                                ['below/wrong.test.yaml', '2', '0', '2'], ['zeta.test.yaml', '1', '0', '1']])

    def test_no_tests_at_all(self):
        self.write('none/flow.yaml', FLOW)
        self.assertIn("the folder 'none' has no tests", self.tutti('test', 'none', code=2).err)
        self.assertIn("no file or folder 'nope'", self.tutti('test', 'nope', 'none', code=2).err)
        self.write('tutti.yaml', FLOW)
        self.assertIn('there are no tests here', self.tutti('test', code=2).err)
        self.assertEqual(self.tutti('test', '--json', code=2).out, '')

    def test_many_tests_in_one_file(self):
        """It is read once, not once for each of them."""
        one = {'workflow': 'lines', 'replies': ['x'], 'expect': {'output': 'x'}}
        done = self.check({f't{i}': one for i in range(1200)}, code=0)
        self.assertIn('1200 passed, 0 failed', done.out)
        self.assertLess(done.seconds, 15)  # about half a second; it was a minute

    def test_junit(self):
        tests = {
            'good': {'workflow': 'lines', 'replies': ['x'], 'expect': {}},
            'bad <&"\n\x1b\uffff': {'workflow': 'lines', 'replies': ['one\ntwo'], 'expect': {'output': 'one\n2 ]]>'}},
        }
        self.check(tests, '--junit', 'report.xml', code=1)
        root = xml.dom.minidom.parse(self.path('report.xml')).documentElement
        good, bad = root.getElementsByTagName('testcase')
        self.assertEqual((good.getAttribute('classname'), good.getAttribute('name')), ('flow.test.yaml', 'good'))
        self.assertFalse(good.getElementsByTagName('failure'))
        self.assertEqual(bad.getAttribute('name'), 'bad <&"\n\ufffd\ufffd')
        (failure,) = bad.getElementsByTagName('failure')
        self.assertEqual(failure.getAttribute('message'), 'output')
        self.assertIn('-2 ]]>\n+two\n', failure.firstChild.data)
        self.assertIn('nowhere', self.check(tests, '--junit', 'nowhere/report.xml', code=2).err)

    def test_two_tests_do_not_record_over_each_other(self):
        test = {'workflow': 'lines', 'recording': 'calls.jsonl', 'expect': {}}
        done = self.check({'t': test, 'u': test}, '--record')
        self.assertEqual(done.code, 2, done)
        self.assertIn("'t' and 'u' have the same recording", done.err)
        self.assertFalse(os.path.exists(self.path('calls.jsonl')))
        self.assertIn('none of the tests has a `recording`',
                      self.check({'t': {'workflow': 'lines'}}, '--record', code=2).err)

    def test_a_workflow_that_is_not_there(self):
        (one,) = self.failures({'workflow': 'mian', 'expect': {}})
        self.assertIn("mian", one['actual'])

    def test_tests_are_no_part_of_what_runs(self):
        flow = 'agents: {a: {type: lua, script: return message}}\nworkflows: {main: {type: chain, sequence: [a]}}\n'
        self.write('one.yaml', flow)
        self.write('two.yaml', flow + 'tests: {t: {input: x, expect: {output: x}}}\n')
        plans = {self.tutti('run', f, '--dry-run', code=0).out for f in ('one.yaml', 'two.yaml')}
        self.assertEqual(len(plans), 1)
        self.tutti('test', 'two.yaml', code=0)
        self.assertFalse(os.path.exists(self.path('.tutti')))

    def test_an_answer_that_does_not_fit(self):
        self.write(
            'ask.yaml',
            '''
agents: {a: {type: lua, script: return message}}
workflows: {main: {nodes: [{id: ask, type: human, prompt: Well?, choices: [aye, nay], timeout: 1h, default: nay}]}}
tests:
  fits: {answers: {ask: aye}, expect: {output: aye}}
  fits not: {answers: {ask: maybe}, expect: {output: nay}}
  nobody: {expect: {output: nay}}
''',
        )
        report = self.tutti('test', 'ask.yaml', '--json', code=1).json
        ok = {t['name']: t['ok'] for t in report['tests']}
        self.assertEqual(ok, {'fits': True, 'fits not': False, 'nobody': True})

    def test_recorded_once_then_without_a_network(self):
        server = self.model()
        parts = {
            'profiles': {'p': self.profile(server)},
            'agents': {'a': {}},
            'workflows': {'main': {'type': 'chain', 'sequence': ['a']}},
        }
        test = {'input': 'hello', 'recording': 'calls.jsonl', 'expect': {'matches': '.'}}
        self.flow('rec.yaml', tests={'t': test}, **parts)
        self.tutti('test', 'rec.yaml', '--record', code=0, env={'MODEL_KEY': SECRET})
        wait_for(lambda: server.log)  # it logs after it has answered
        calls = len(server.log)
        self.tutti('test', 'rec.yaml', code=0)
        self.assertEqual(len(server.log), calls)
        self.assert_nowhere(SECRET)
        self.flow('rec.yaml', tests={'t': dict(test, input='something else')}, **parts)
        self.assertIn('record', self.tutti('test', 'rec.yaml', code=1).out)

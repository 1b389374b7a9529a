"""Runs once more: forked from a place, replayed from their journal."""

import os
import sqlite3

from world import Case

FLOW = '''
profiles:
  p: {provider: script, replies: [{match: boom, error: 400}, {match: "", text: "{{last}}!"}]}
  q: {provider: script, replies: [{match: "", text: "Q({{last}})"}]}
default_profile: p
agents:
  a: {}
  b: {}
  pay: {type: exec, command: [sh, -c, "echo paid >> ledger; echo ok"]}
workflows:
  panel: {type: chain, sequence: [b, a]}
  main:
    nodes:
      - {id: one, agent: a, input: "{{ input }}"}
      - {id: two, workflow: panel, depends_on: [one]}
      - {id: side, agent: b, input: "side {{ inputs.k }}"}
      - {id: pay, agent: pay, depends_on: [two]}
      - {id: end, agent: b, input: "{{ steps.two.text }} {{ steps.side.text }} {{ steps.pay.text }}"}
  fails:
    nodes: [{id: x, agent: a, input: first}, {id: y, agent: b, input: "{{ inputs.what }}", depends_on: [x]}]
'''


class Again(Case):
    def setUp(self):
        super().setUp()
        self.write('flow.yaml', FLOW)

    def ran(self):
        return self.run_ok('flow.yaml', 'main', '-i', 'go', '-i', 'k=1')['run']

    def paid(self):
        return self.read('ledger').count('paid') if os.path.exists(self.path('ledger')) else 0

    def test_fork_takes_over_the_rest(self):
        run = self.ran()
        done = self.tutti('runs', 'fork', run, '--from', 'two/a', code=2)
        self.assertIn("made once and will be made again: 'exec:pay' at pay/exec; say --yes", done.err)
        self.assertEqual((self.paid(), len(self.runs())), (1, 1))
        doc = self.tutti('runs', 'fork', run, '--from', 'two/a', '-m', 'q', '--yes', '--json', code=0).json
        self.assertEqual(doc['output'], 'Q(Q(go!!) side 1! ok)')
        self.assertEqual(doc['usage']['model_calls'], 2)
        self.assertEqual(doc['fork']['run'], run)
        self.assertEqual(self.paid(), 2)
        rows = {r['path']: r for r in self.tutti('runs', 'show', doc['run'], '--timeline', '--json').json['rows']}
        self.assertTrue(rows['side']['taken_over'])
        self.assertNotIn('taken_over', rows['end'])
        drawn = self.tutti('graph', '--run', doc['run'], code=0).out
        self.assertRegex(drawn, r'\+ side \(b\)  completed before')

    def test_fork_with_other_inputs_and_of_a_fork(self):
        run = self.ran()
        doc = self.tutti('runs', 'fork', run[:20], '--from', 'side', '-i', 'k=7', '--json', code=0).json
        self.assertEqual(doc['output'], 'go!!! side 7! ok!')
        again = self.tutti('runs', 'fork', doc['run'], '--from', 'one', '-i', 'new', '--yes', '--json', code=0).json
        self.assertEqual(again['output'], 'new!!! side 7! ok!')
        self.assertEqual(self.paid(), 2)

    def test_fork_mends_a_failed_run(self):
        self.tutti('run', 'flow.yaml', 'fails', '-i', 'what=boom', code=1)
        run = self.runs()[0]['run']
        doc = self.tutti('runs', 'fork', run, '--from', 'y', '-i', 'what=fine', '--json', code=0).json
        self.assertEqual((doc['output'], doc['usage']['model_calls']), ('fine!', 1))

    def test_fork_looks_before_it_leaps(self):
        run = self.ran()
        look = self.tutti('runs', 'fork', run, '--from', 'two', '--dry-run', '--json', '--yes', code=0).json
        self.assertEqual((look['anew'], look['taken']), (['two', 'pay', 'end'], 2))
        self.assertEqual([one['path'] for one in look['again']], ['pay/exec'])
        self.assertEqual(len(self.runs()), 1)

    def test_fork_of_nothing(self):
        run = self.ran()
        self.assertIn("did you mean 'two'?", self.tutti('runs', 'fork', run, '--from', 'tow', code=2).err)
        self.assertIn("did you mean 'two/b'?", self.tutti('runs', 'fork', run, '--from', 'b', code=2).err)
        self.assertIn('--from NODE', self.tutti('runs', 'fork', run, code=2).err)
        self.assertIn('nobody', self.tutti('runs', 'fork', run, '--from', 'one', '--yes', '-m', 'nobody', code=2).err)
        self.assertIn('01ZZ', self.tutti('runs', 'fork', '01ZZ', '--from', 'one', code=2).err)
        self.assertIn("did you mean 'fork'?", self.tutti('runs', 'frok', run, code=2).err)

    def test_replay_is_the_same_without_a_call(self):
        run = self.ran()
        report = self.tutti('runs', 'replay', run, '--json', code=0).json
        self.assertEqual((report['same'], report['steps'], report['differences']), (True, 6, []))
        self.assertEqual(self.paid(), 1)
        done = self.tutti('runs', 'replay', run, '--speed', '1000', code=0)
        self.assertIn('node.completed  two/a', done.out)
        self.assertIn('no call; the same', done.err)
        self.tutti('run', 'flow.yaml', 'fails', '-i', 'what=boom', code=1)
        self.tutti('runs', 'replay', self.runs()[0]['run'], '-q', code=0)
        self.assertIn('not a number above 0', self.tutti('runs', 'replay', run, '--speed', 'x', code=2).err)

    def test_replay_of_every_pattern(self):
        """What decides while it runs decides the same again."""
        patterns = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'examples', 'patterns.yaml')
        for workflow in ('dispatch', 'project', 'polish', 'desk', 'guild', 'certain', 'each'):
            run = self.run_ok(patterns, workflow, '-i', 'ebb, flood', '--store', 's')['run']
            report = self.tutti('runs', 'replay', run, '--json', '--store', 's', code=0).json
            self.assertTrue(report['same'] and report['steps'], (workflow, report))

    def test_a_damaged_journal_is_told(self):
        run = self.ran()
        name = next(n for n in os.listdir(self.path('.tutti')) if n.endswith('.db'))
        with sqlite3.connect(self.path('.tutti', name)) as base:
            base.execute("UPDATE journal SET body = replace(body, 'go!', 'no!') WHERE path = 'one/turn[0]'")
        base.close()
        for words in (['replay', run], ['fork', run, '--from', 'end'], ['show', run, '--timeline'], ['graph', run]):
            done = self.tutti('runs', *words)
            self.assertNotEqual(done.code, 0, done)
            self.assertRegex(done.err, 'record|checksum|damaged', done)

"""Runs once more: forked from a place, replayed from their journal."""

import json
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

    def test_a_file_that_is_worked_off(self):
        """Its results belong to the run that wrote them: looking at it, or replaying it, leaves them alone."""
        self.write('in.jsonl', '\n'.join(f'{{"q": {i}}}' for i in range(25)))
        self.tutti('batch', 'flow.yaml', 'panel', '--input', 'in.jsonl', '--output', 'out.jsonl', '--json', code=0)
        run = self.runs()[0]['run']
        self.write('out.jsonl', 'mine')
        self.assertTrue(self.tutti('runs', 'replay', run, '--json', code=0).json['same'])
        drawn = self.tutti('graph', '--run', run, code=0).out
        self.assertRegex(drawn, r'panel  25 of 25 completed \d')
        self.assertEqual(self.tutti('stats', '--json', code=0).json['agents'][0]['count'], 25)
        done = self.tutti('runs', 'fork', run, '--from', 'lines/panel[3]', code=2)
        self.assertIn('out.jsonl', done.err)
        self.assertEqual(self.read('out.jsonl'), 'mine')
        self.tutti('runs', 'fork', run, '--from', 'lines/panel[3]', '--yes', '-q', code=0)
        self.assertEqual(len(self.read('out.jsonl').splitlines()), 25)

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


class Diff(Case):
    FLOW = {
        'profiles': {
            'p': {
                'provider': 'script',
                'api_key': 'sk-one-4711',
                'replies': [{'match': '', 'text': 'L1\nL2 {{last}}\nL3'}],
            }
        },
        'agents': {'a': {'instruction': 'be kind'}, 'b': {'type': 'lua', 'script': 'return {n = 1, m = inputs}'}},
        'workflows': {'main': {'nodes': [{'id': 'x', 'agent': 'a'}, {'id': 'y', 'agent': 'b', 'depends_on': ['x']}]}},
    }

    def ran(self, flow, *words):
        return self.run_ok(self.flow(**flow), *words)['run']

    def test_the_same(self):
        one, two = (self.ran(self.FLOW, '-i', 'go') for _ in range(2))
        done = self.tutti('runs', 'diff', one, two, code=0)
        self.assertIn('the same', done.out)
        report = self.tutti('runs', 'diff', one, two, '--json', code=0).json
        self.assertEqual((report['same'], report['nodes_same'], report['inputs']), (True, 2, []))

    def test_inputs_and_outputs(self):
        one, two = (self.ran(self.FLOW, '-i', word) for word in ('go', 'stay'))
        report = self.tutti('runs', 'diff', one, two, '--json', code=1).json
        self.assertEqual(report['inputs'], [{'path': 'input', 'a': 'go', 'b': 'stay'}])
        x = next(n for n in report['nodes'] if n['path'] == 'x')
        self.assertEqual(x['diff'], '@@ -1,3 +1,3 @@\n L1\n-L2 go\n+L2 stay\n L3\n')
        out = self.tutti('runs', 'diff', one, two, code=1).out
        self.assertRegex(out, r'(?m)^  input: "go" -> "stay"$')
        self.assertRegex(out, r'(?m)^  ~ x')
        self.assertRegex(out, r'(?m)^  = y')

    def test_definitions(self):
        other = json.loads(json.dumps(self.FLOW))
        other['agents']['a']['instruction'] = 'be brief'
        other['profiles']['p']['api_key'] = 'sk-two-4711'
        nodes = other['workflows']['main']['nodes']
        nodes[0]['input'] = 'other'
        nodes.append({'id': 'z', 'agent': 'a'})
        del nodes[1]
        one, two = self.ran(self.FLOW, '-i', 'go'), self.ran(other, '-i', 'go')
        done = self.tutti('runs', 'diff', one, two, '--json', code=1)
        definition = done.json['definition']
        self.assertEqual(definition['nodes'], {'added': ['z'], 'removed': ['y'], 'changed': ['x']})
        changes = {c['path']: (c.get('a'), c.get('b')) for c in definition['changes']}
        self.assertEqual(changes['agents.a.instruction'], ('be kind', 'be brief'))
        self.assertEqual(changes['workflows.main.nodes.x.input'], (None, 'other'))
        self.assertEqual({n['path']: n['in'] for n in done.json['nodes']}, {'x': 'both', 'y': 'a', 'z': 'b'})
        for shown in (done, self.tutti('runs', 'diff', one, two, code=1)):
            self.assertNotIn('4711', shown.out)

    def test_a_node_in_front_changes_no_other(self):
        nodes = [{'id': 'x', 'agent': 'a'}, {'id': 'y', 'agent': 'a', 'depends_on': ['x']}]
        more = [{'id': 'w', 'agent': 'a'}, nodes[0], dict(nodes[1], depends_on=['x', 'w'])]
        ids = []
        for parts in (nodes, [more[0], *nodes], more):
            flow = self.flow('front.json', agents={'a': {'type': 'lua', 'script': 'return message'}},
                             workflows={'main': {'nodes': parts}})
            ids.append(self.run_ok(flow, '-i', 'x')['run'])
        told = [self.tutti('runs', 'diff', ids[0], other, '--json', code=1).json for other in ids[1:]]
        told = [one['definition']['nodes'] for one in told]
        self.assertEqual(told[0], {'added': ['w'], 'removed': [], 'changed': []})
        self.assertEqual(told[1], {'added': ['w'], 'removed': [], 'changed': ['y']})

    def test_bad_words(self):
        one = self.ran(self.FLOW, '-i', 'go')
        self.assertIn('two runs', self.tutti('runs', 'diff', one, code=2).err)
        self.assertIn('01ZZ', self.tutti('runs', 'diff', one, '01ZZ', code=2).err)
        two = self.ran(self.FLOW, '-i', 'go')
        self.assertEqual(one[:6], two[:6])
        self.assertRegex(self.tutti('runs', 'diff', one[:6], two).err, 'several|more than one|ambiguous')

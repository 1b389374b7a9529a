"""Runs and workflows as people look at them: drawings and timelines."""

import os
import re
import shutil
import sqlite3
import unittest
import xml.dom.minidom

from world import Case, EXAMPLES

FLOW = '''
profiles:
  p:
    provider: script
    replies:
      - match: Break the task
        json:
          steps:
            - {step: 1, agent: ann, instruction: x}
            - {step: 2, agent: ann, instruction: y}
            - {step: 3, agent: bob, instruction: z, depends_on: [1, 2]}
      - {match: flaky, text: fine, error: {status: 503, times: 2}}
      - {match: bad, error: 400}
      - {match: "", text: "{{last}}"}
agents:
  ann: {description: one}
  bob: {description: two, retry: {initial_delay: 0.01, jitter: false}}
  list: {type: lua, script: "local t = {} for i = 1, 40 do t[i] = i end return t"}
workflows:
  plan: {type: orchestrator, agents: [ann, bob]}
  main:
    failure_strategy: partial_completion_allowed
    nodes:
      - {id: many, agent: list}
      - {id: each, type: foreach, from: [many], agent: ann, input: "n {{ item }}"}
      - {id: hard, agent: bob, input: flaky, depends_on: [many]}
      - {id: odd, agent: ann, when: "inputs.odd", depends_on: [many]}
      - {id: wrong, agent: bob, input: bad, depends_on: [many]}
      - {id: after, agent: bob, depends_on: [wrong]}
      - {id: again, type: loop, body: ann, until: "index == 3", depends_on: [hard]}
      - {id: which, type: switch, cases: [{when: "inputs.odd", then: ann}], default: bob, depends_on: [hard]}
'''

DEFINED = '''main (dag)
  many (list)
  each (foreach)  <- many  foreach: one agent or workflow for each item of a list, several at once
    ? ann
  hard (bob)  <- many
  odd (ann)  <- many  [when inputs.odd]
  wrong (bob)  <- many
  after (bob)  <- wrong
  again (loop)  <- hard  loop: ABOUT LOOP
    ? ann
  which (switch)  <- hard  switch: ABOUT SWITCH
    ? ann  [when inputs.odd]
    ? bob
'''

RAN = '''main (dag)  run ID: partial TIME
  + many (list)  completed
  + each (foreach)  <- many  foreach: ABOUT  completed, 240 tokens
    + ? ann  40 of 40 completed, 240 tokens
  + hard (bob)  <- many  completed, 2 retries, 7 tokens
  - odd (ann)  <- many  [when inputs.odd]  skipped
  x wrong (bob)  <- many  failed: WHY
  - after (bob)  <- wrong  skipped
  + again (loop)  <- hard  loop: ABOUT  completed, 18 tokens
    + ? ann  3 of 3 completed, 18 tokens
  + which (switch)  <- hard  switch: ABOUT  completed, 6 tokens
    . ? ann  [when inputs.odd]
    + ? bob  completed, 6 tokens
'''


class Drawn(Case):
    def setUp(self):
        super().setUp()
        self.write('flow.yaml', FLOW)

    def ran(self, workflow, code=0):
        self.tutti('run', 'flow.yaml', workflow, '-i', 'go', '--json', code=code)
        return self.runs()[0]['run']

    def still(self, text):
        """Without what differs from run to run."""
        text = re.sub(r'\b[0-9A-HJKMNP-TV-Z]{26}\b', 'ID', text)
        return re.sub(r' \d+(\.\d+)? (ms|s)\b', '', text)

    def test_control_kinds_are_legible(self):
        out = self.tutti('graph', 'flow.yaml', 'main', code=0).out
        self.assertEqual(re.sub(r'(loop|switch): .*', lambda m: f'{m[1]}: ABOUT {m[1].upper()}', out), DEFINED)
        plan = self.tutti('graph', 'flow.yaml', 'plan', '-f', 'mermaid', code=0).out
        self.assertIn('n0{{"plan: orchestrator"}}', plan)
        self.assertEqual(len(re.findall(r'n0 -\.-> n\d', plan)), 2)
        switch = self.tutti('graph', 'flow.yaml', 'main', '-f', 'mermaid', code=0).out
        self.assertRegex(switch, r'-\.->\|"inputs.odd"\| n\d')

    def test_drawings_are_the_same_each_time(self):
        for how in ('text', 'mermaid', 'dot', 'json'):
            outs = {self.tutti('graph', 'flow.yaml', 'main', '-f', how, code=0).out for _ in range(3)}
            self.assertEqual(len(outs), 1)

    def test_a_run_as_it_went(self):
        run = self.ran('main')
        out = self.still(self.tutti('graph', '--run', run, code=0).out)
        out = re.sub(r'(foreach|loop|switch): .*?(  |$)', r'\1: ABOUT\2', out, flags=re.M)
        out = re.sub(r'failed.*: .*', 'failed: WHY', out)
        self.assertEqual(re.sub('partial$', 'partial TIME', out, flags=re.M), RAN)
        again = self.tutti('runs', 'graph', run[:20], code=0).out
        self.assertEqual(again, self.tutti('graph', '--run', run, code=0).out)

    def test_what_a_planner_made_up(self):
        run = self.ran('plan')
        out = self.still(self.tutti('graph', '--run', run, code=0).out)
        self.assertIn('  + step-3 (bob)  <- step-1, step-2  completed', out)
        self.assertIn('  + ? ann  called as step-2', out)
        doc = self.tutti('runs', 'graph', run, '--json', code=0).json
        made = {n['id']: n for n in doc['nodes'] if n.get('invented')}
        self.assertEqual(sorted(made), ['plan', 'step-1', 'step-2', 'step-3'])
        self.assertEqual(made['step-3']['after'], ['step-1', 'step-2'])

    def test_a_session_as_it_went(self):
        self.write('talk.yaml', """
agents: {ann: {type: lua, script: return 'you said ' .. message}}
workflows:
  main:
    type: session
    states:
      idle: {wait: text, next: work}
      work: {agent: ann, next: more}
      more:
        {say: "More?", wait: text, choices: [yes, no], timeout: 1h, on_timeout: end,
         cases: [{when: "output == 'no'", next: end}], next: work}
""")
        self.tutti('run', 'talk.yaml', '--run-id', 'x', '-i', 'one', code=4)
        for word in ('yes', 'yes'):
            self.tutti('send', 'x', word, code=4)
        out = self.still(self.tutti('graph', '--run', 'x', code=0).out)
        self.assertIn('  . ? idle (state)  waits for an input  -> work\n', out)  # the run's own input, at once
        self.assertIn('  + ? work (ann)  3 of 3 completed  -> more\n', out)
        self.assertIn('  > ? more (state)  waits for yes | no, for 1 h 0 min  waits\n', out)
        self.assertIn("      -> end  [when output == 'no']\n      -> work\n      -> end  [too late]\n", out)
        self.assertEqual(len(out.splitlines()), 8, out)
        names = [n['id'] for n in self.tutti('graph', '--run', 'x', '--json', code=0).json['nodes']]
        self.assertEqual(names, ['idle', 'work', 'more'])
        rows = self.tutti('runs', 'show', 'x', '--timeline', '--json', code=0).json['rows']
        self.assertEqual([r['path'] for r in rows if r['what'] == 'part'], [])

    @unittest.skipUnless(shutil.which('dot'), 'Graphviz is not installed')
    def test_svg(self):
        run = self.ran('main')
        for words in (['graph', '--run', run], ['graph', 'flow.yaml', 'plan']):
            svg = self.tutti(*words, '-f', 'svg', code=0).out
            self.assertEqual(xml.dom.minidom.parseString(svg).documentElement.tagName, 'svg')

    def test_every_example_can_be_drawn(self):
        for name in sorted(os.listdir(EXAMPLES)):
            if not name.endswith('.yaml') or name.endswith('_config.yaml'):  # parts of another file
                continue
            done = self.tutti('graph', os.path.join(EXAMPLES, name), '-f', 'dot')
            self.assertTrue(done.code == 0 or 'which workflow' in done.err or 'no workflow' in done.err, (name, done))

    def test_svg_without_graphviz_names_the_package(self):
        done = self.tutti('graph', 'flow.yaml', 'plan', '-f', 'svg', env={'PATH': '/nowhere'}, code=2)
        self.assertIn('install the package graphviz', done.err)

    def test_bad_words(self):
        self.assertIn('the format is', self.tutti('graph', '-f', 'png', code=2).err)
        self.assertIn('the format is', self.tutti('runs', 'graph', 'x', '-f', 'png', code=2).err)
        self.assertIn('name no file', self.tutti('graph', 'flow.yaml', '--run', 'x', code=2).err)
        self.ran('main')
        self.assertIn("'01ZZ'", self.tutti('graph', '--run', '01ZZ', code=2).err)

    def test_timeline(self):
        run = self.ran('main')
        for width in (60, 80, 133):
            out = self.tutti('runs', 'show', run, '--timeline', '--width', width, code=0).out
            self.assertLessEqual(max(map(len, out.splitlines())), width, out)
        lines = out.splitlines()
        self.assertRegex(lines[0], rf'^main {run}  partial ')
        self.assertRegex(out, r'(?m)^hard +.*\|.*=.*\| bob  2 retries')
        self.assertRegex(out, r'(?m)^  ann\[\*\] .* 30 of 30 completed')
        doc = self.tutti('runs', 'show', run, '--timeline', '--json', code=0).json
        rows = {row['path']: row for row in doc['rows']}
        self.assertEqual(rows['hard/turn[0]']['retries'], 2)
        self.assertGreater(rows['hard/turn[0]']['waited_ms'], 10)
        self.assertEqual(rows['each/ann[*]']['counts'], {'of': 30, 'completed': 30})
        self.assertEqual(rows['odd']['status'], 'skipped')
        self.assertLessEqual(rows['hard']['start_ms'] + rows['hard']['duration_ms'], doc['duration_ms'])
        self.assertIn('width', self.tutti('runs', 'show', run, '--timeline', '--width', '0', code=2).err)

    def test_hostile_names(self):
        name = r'"m\u6f22\e(31m\u6f22<b>"'
        self.write('odd.yaml', FLOW.replace('id: many', f'id: {name}').replace('[many]', f'[{name}]'))
        done = self.tutti('run', 'odd.yaml', 'main', '-i', 'go', '--json')
        self.assertEqual(done.code, 0, done)
        run = self.runs()[0]['run']
        for words in (['runs', 'show', run, '--timeline'], ['graph', '--run', run, '-f', 'dot']):
            self.assertNotIn('\033', self.tutti(*words, code=0).out)



COUNTED = '''
profiles:
  p:
    provider: script
    replies: [{match: bad, error: 400}, {match: slow, text: ok, delay: 30ms}, {match: "", text: fine}]
agents:
  ann: {}
workflows:
  w: {type: chain, sequence: [ann, ann]}
'''


def nearest_rank(values, percent):
    """Another way to the same number."""
    values = sorted(values)
    return values[max(0, -(-percent * len(values) // 100) - 1)]


class Stats(Case):
    def test_numbers_are_those_of_the_runs(self):
        self.write('flow.yaml', COUNTED)
        for word in ('slow', 'a', 'bad', 'slow', 'b', 'c', 'bad'):
            self.tutti('run', 'flow.yaml', '-i', word, '--json')
        docs = [self.tutti('runs', 'show', r['run'], '--json', code=0).json for r in self.runs()]
        stats = self.tutti('stats', '--json', code=0).json
        (w,) = stats['workflows']
        took = [d['duration_ms'] for d in docs]
        self.assertEqual((w['count'], w['completed'], w['failed']), (7, 5, 2))
        self.assertAlmostEqual(w['success_rate'], 5 / 7)
        self.assertAlmostEqual(w['duration_ms']['avg'], sum(took) / 7)
        for percent, key in ((50, 'p50'), (95, 'p95'), (100, 'max'), (0, 'min')):
            self.assertEqual(w['duration_ms'][key], nearest_rank(took, percent))
        self.assertEqual(w['usage']['input_tokens'], sum(d['usage']['input_tokens'] for d in docs))
        self.assertIsNone(w['usage']['cost_usd'])
        nodes = [n for d in docs for n in d['nodes'].values() if n['status'] != 'skipped']
        (ann,) = stats['agents']
        self.assertEqual(ann['count'], len(nodes))
        self.assertEqual(ann['duration_ms']['p50'], nearest_rank([n['duration_ms'] for n in nodes], 50))
        self.assertEqual([t['name'] for t in stats['targets']], ['script:script'])
        text = self.tutti('stats', code=0).out
        self.assertRegex(text, r'(?m)^Workflow Statistics\nWorkflow +Executions +Success Rate +Avg')
        self.assertRegex(text, r'(?m)^w +7 +71.4% ')

    def test_some_of_them(self):
        self.write('flow.yaml', COUNTED)
        self.tutti('run', 'flow.yaml', '-i', 'a', '-q')
        self.assertEqual(self.tutti('stats', '--since', '1d', '--json', code=0).json['runs'], 1)
        self.assertEqual(self.tutti('stats', '--since', '0s', '--json', code=0).json['runs'], 0)
        self.assertEqual(self.tutti('stats', '--workflow', 'w', '--json', code=0).json['runs'], 1)
        self.assertEqual(self.tutti('stats', '--workflow', 'v', code=0).out, 'no runs\n')
        self.assertIn('not a duration', self.tutti('stats', '--since', 'ages', code=2).err)
        self.assertIn('too many', self.tutti('stats', 'w', code=2).err)

    def test_a_damaged_run_is_left_out_and_said(self):
        self.write('flow.yaml', COUNTED)
        for _ in range(3):
            self.tutti('run', 'flow.yaml', '-i', 'a', '-q')
        name = next(n for n in os.listdir(self.path('.tutti')) if n.endswith('.db'))
        base = sqlite3.connect(self.path('.tutti', name))
        base.execute("UPDATE journal SET body = replace(body, 'fine', 'mine') WHERE pos IN"
                     " (SELECT pos FROM journal WHERE kind = 21 LIMIT 1)")
        base.commit()
        base.close()
        done = self.tutti('stats', '--json', code=0)
        self.assertEqual(done.json['damaged_runs'], 1)
        self.assertIn('damaged', done.err)

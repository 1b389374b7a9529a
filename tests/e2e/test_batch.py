"""Very many items: a workflow for each line of a file, killed on the way, with the memory of a few."""

import collections
import json
import os
import signal
import unittest

from world import Case, peak_mb, wait_for

ITEMS = int(os.environ.get('BATCH_ITEMS', '20000'))
KILLS = 5


class Batch(Case):
    def lines(self, name, values):
        return self.write(name, ''.join(json.dumps(v) + '\n' for v in values))

    def results(self, name='out.jsonl'):
        """What each item gave, by its index; every line is whole, and no item has two."""
        found = {}
        for line in self.read(name).splitlines():
            one = json.loads(line)
            self.assertNotIn(one['index'], found)
            found[one['index']] = one.get('output', one.get('error'))
        return found

    def greeting(self):
        return self.flow(
            agents={
                'greet': {
                    'type': 'lua',
                    'script': "if message == 'bob' then error('no bobs') end return 'hi ' .. message",
                }
            },
            workflows={
                'main': {
                    'inputs': {'type': 'object', 'required': ['name']},
                    'nodes': [{'id': 'greet', 'agent': 'greet', 'input': '{{ inputs.name }}'}],
                }
            },
        )


class Command(Batch):
    def test_a_workflow_for_each_line(self):
        self.lines('in.jsonl', [{'name': 'ada'}, {'name': 'eve'}])
        done = self.tutti('batch', self.greeting(), '--input', 'in.jsonl', '--output', 'out.jsonl', code=0)
        self.assertRegex(done.out, r'^2 completed, 0 failed, ')
        self.assertEqual(self.results(), {1: 'hi ada', 2: 'hi eve'})
        again = self.tutti('batch', self.path('flow.json'), '--input', 'in.jsonl', '--output', 'out.jsonl', code=2)
        self.assertIn("the output 'out.jsonl' is there already; go on with --resume, or remove it", again.err)
        ended = self.tutti(
            'batch', self.path('flow.json'), '--input', 'in.jsonl', '--output', 'out.jsonl', '--resume', code=0
        )
        self.assertRegex(ended.out, r'^2 completed, 0 failed, ')
        self.assertEqual(len(self.runs()), 1)

    def test_an_output_that_is_gone_is_told(self):
        self.write('flow.yaml', 'agents: {up: {type: lua, script: return message}}\nworkflows: {}\n')
        self.write('in.jsonl', '1\n')
        words = ('batch', 'flow.yaml', 'up', '--input', 'in.jsonl', '--output', 'out.jsonl')
        self.tutti(*words, code=0)
        self.tutti(*words, '--resume', code=0)
        os.remove(self.path('out.jsonl'))
        self.assertIn("'out.jsonl' is gone", self.tutti(*words, '--resume', code=2).err)
        self.tutti(*words, code=0)
        self.assertEqual(len(self.read('out.jsonl').splitlines()), 1)

    def test_failures_are_counted_and_are_not_the_end(self):
        self.write('in.csv', 'name,town\nada,Turin\nbob,Bonn\n"eve\n')
        words = ('batch', self.greeting(), 'main', '--input', 'in.csv', '--parallel', '3')
        done = self.tutti(*words, '--output', 'out.jsonl', code=0)
        self.assertRegex(done.out, r'^1 completed, 2 failed, ')
        self.assertIn('warning: the run is partial: not every item completed', done.err)
        self.assertEqual(
            self.results(),
            {
                1: 'hi ada',
                2: "node 'greet': its script: no bobs",
                3: f"'{self.path('in.csv')}': line 4 has a quote that is not closed",
            },
        )
        strict = self.tutti(*words, '--output', 'strict.jsonl', '--strict', '--json', code=5).json
        self.assertEqual(
            strict['output'],
            {'items': 3, 'completed': 1, 'failed': 2, 'results': os.path.realpath(self.path('strict.jsonl'))},
        )
        self.assertEqual([f['index'] for f in strict['nodes']['lines']['items']['failures']], [2, 3])
        shown = self.tutti('runs', 'show', strict['run'], code=0).out
        self.assertIn('1 items completed, 2 failed', shown)
        self.assertIn("item 2: node 'greet': its script: no bobs", shown)
        timeline = self.tutti('runs', 'show', strict['run'], '--timeline', code=0).out
        self.assertRegex(timeline, r'main\[1\] .*failed  main  node .gre')
        logged = {
            e['path']: e['detail']['status']
            for e in self.tutti('runs', 'logs', strict['run'], '--json', code=0).lines
            if e['path'].endswith(']')
        }
        self.assertEqual(
            logged, {'lines/main[0]': 'completed', 'lines/main[1]': 'failed', 'lines/main[2]': 'failed'}
        )
        few = self.tutti(*words, '--output', 'few.jsonl', '--max-failures', '1', code=1)
        self.assertIn('more than 1 items failed', few.err)

    def test_an_agent_and_lines_of_text(self):
        self.write('in.txt', 'ada\n\neve\n')
        self.tutti('batch', self.greeting(), 'greet', '-i', 'in.txt', '-o', 'out.jsonl', '--quiet', code=0)
        self.assertEqual(self.results(), {1: 'hi ada', 2: 'hi eve'})

    def test_what_cannot_be_begun(self):
        flow = self.greeting()
        self.lines('in.jsonl', [1])
        for words, code, told in (
            (('--input', 'in.jsonl'), 2, '--input and --output are needed'),
            (('--input', '-', '--output', 'o'), 2, 'write it to a file first'),
            (('--input', 'none.jsonl', '--output', 'o'), 2, "the input 'none.jsonl' is not there"),
            (('--input', 'in.jsonl', '--output', 'in.jsonl'), 2, 'the input and the output'),
            (('--input', 'in.jsonl', '--output', 'home'), 2, 'is a folder'),
            (('--input', 'in.jsonl', '--output', 'no/o'), 2, 'the output'),
            (('--input', 'in.jsonl', '--output', 'o', '--parallel', '0'), 2, 'from 1 to 10000'),
            (('--input', 'in.jsonl', '--output', 'o', '--max-failures', 'x'), 2, "a number, not 'x'"),
        ):
            done = self.tutti('batch', flow, *words, code=code)
            self.assertIn(told, done.err)
        self.assertFalse(os.path.exists(self.path('o')))
        nobody = self.tutti('batch', flow, 'nobody', '--input', 'in.jsonl', '--output', 'o')
        self.assertNotEqual(nobody.code, 0)
        self.assertIn('nobody', nobody.err)


class Resumed(Batch):
    def words(self, flow):
        return ('batch', flow, '--input', 'in.jsonl', '--output', 'out.jsonl', '--parallel', '4')

    def shop(self, ledger):
        return self.flow(
            agents={'shop': {'type': 'http', 'endpoint': ledger.url}},
            workflows={
                'main': {
                    'nodes': [
                        {
                            'id': 'add',
                            'agent': 'shop',
                            'action': 'POST /append',
                            'parameters': {'body': {'entry': '{{ inputs.n }}', 'key': 'k-{{ inputs.n }}'}},
                            'effect': 'idempotent',
                        }
                    ]
                }
            },
        )

    def counted(self):
        return collections.Counter(e['key'] for e in self.entries())

    def test_killed_five_times_nothing_recorded_is_done_again(self):
        ledger = self.ledger(delay_ms=2)
        n = 300
        self.lines('in.jsonl', [{'n': f'{i}'} for i in range(n)])
        words = self.words(self.shop(ledger))
        more = ()
        for kill in range(1, KILLS + 1):
            child = self.start(*words, *more)
            self.interrupt_when(child, lambda k=kill: len(self.entries()) >= k * n // (KILLS + 2), signal.SIGKILL)
            run = self.runs()[0]['run']
            recorded = {
                'k-' + e['path'].split('[')[1].rstrip(']')
                for e in self.tutti('runs', 'logs', run, '--json', code=0).lines
                if e['event'] == 'node.completed' and e['path'].endswith(']')
            }
            before = self.counted()
            more = ('--resume',)
            if kill == 1:
                self.assertTrue(recorded)
        done = self.tutti(*words, '--resume', '--json', code=0).json
        after = self.counted()
        for key in recorded:
            self.assertEqual(after[key], before[key], key)
        self.assertEqual(len(after), n)
        self.assertLessEqual(sum(after.values()), n + KILLS * 4)
        self.assertEqual(done['output']['completed'], n)
        self.assertEqual(sorted(self.results()), list(range(1, n + 1)))
        self.assertEqual(len(self.runs()), 1)

    def test_what_it_rests_on_must_not_change(self):
        ledger = self.ledger(delay_ms=20)
        self.lines('in.jsonl', [{'n': f'{i}'} for i in range(40)])
        flow = self.shop(ledger)
        child = self.start(*self.words(flow))
        done = self.interrupt_when(child, lambda: len(self.entries()) >= 5)
        self.assertEqual(done.code, 130, done)
        self.assertIn('interrupted', done.err)
        text, stat = self.read('in.jsonl'), os.stat(self.path('in.jsonl'))
        self.write('in.jsonl', text + '{"n": "40"}\n')
        changed = self.tutti(*self.words(flow), '--resume', code=4)
        self.assertIn(f"in.jsonl' has changed: it has {stat.st_size + 12} bytes, and had {stat.st_size}", changed.err)
        self.write('in.jsonl', text)
        touched = self.tutti(*self.words(flow), '--resume', code=4)
        self.assertIn('it was written to after the run began', touched.err)
        os.utime(self.path('in.jsonl'), ns=(stat.st_atime_ns, stat.st_mtime_ns))
        os.rename(self.path('out.jsonl'), self.path('away.jsonl'))
        self.lines('other.jsonl', [{'n': 'x'}])
        other = self.tutti(
            'batch', flow, '--input', 'other.jsonl', '--output', 'out.jsonl', '--resume', code=2
        )
        self.assertRegex(other.err, "the batch that writes 'out.jsonl' reads '.*in.jsonl', not 'other.jsonl'")
        definition = self.read('flow.json')
        self.write('flow.json', definition.replace('POST /append', 'POST /append?x'))
        other = self.tutti(*self.words(flow), '--resume', code=2)
        self.assertIn('has changed since the batch began: put it back as it was, or remove', other.err)
        self.write('flow.json', definition)
        os.rename(self.path('away.jsonl'), self.path('out.jsonl'))
        self.tutti(*self.words(flow), '--resume', code=0)
        self.assertEqual(sorted(self.results()), list(range(1, 41)))
        self.assertEqual(len(self.counted()), 40)

    def test_a_file_of_results_that_is_shorter_than_it_was(self):
        self.lines('in.jsonl', [{'n': f'{i}'} for i in range(20000)])
        flow = self.flow(
            agents={'echo': {'type': 'lua', 'script': 'return message'}},
            workflows={'main': {'type': 'chain', 'sequence': ['echo']}},
        )
        child = self.start(*self.words(flow))
        size = lambda: os.path.exists(self.path('out.jsonl')) and os.path.getsize(self.path('out.jsonl')) > 100000
        done = self.interrupt_when(child, size, signal.SIGKILL)
        self.assertEqual(done.code, -signal.SIGKILL)
        os.truncate(self.path('out.jsonl'), 10)
        short = self.tutti(*self.words(flow), '--resume', code=4)
        self.assertIn('has 10 bytes, and', short.err)


class Many(Batch):
    """BATCH_ITEMS=1000000 for the whole size: `make stream-long`."""

    def test_memory_stays_that_of_a_few_however_often_it_is_killed(self):
        with open(self.path('in.jsonl'), 'w', encoding='ascii') as opened:
            opened.writelines(f'{{"n": {i}}}\n' for i in range(ITEMS))
        flow = self.flow(
            agents={'echo': {'type': 'lua', 'script': 'return message'}},
            workflows={
                'main': {
                    'nodes': [
                        {
                            'id': 'each',
                            'type': 'foreach',
                            'items': {'file': 'in.jsonl'},
                            'agent': 'echo',
                            'input': '{{ item.n }}',
                            'results': 'out.jsonl',
                        }
                    ]
                }
            },
        )
        words, peaks, kills = ('run', flow, '--json'), [], 0
        for kill in range(1, KILLS + 1):
            child, most = self.start(*words), 0

            def far_enough(child=child, goal=kill * ITEMS // (KILLS + 1)):
                nonlocal most
                most = max(most, peak_mb(child))
                return child.poll() is not None or self.recorded() >= goal

            wait_for(far_enough, 600)
            peaks.append(most)
            child.kill()
            if self.end(child).code == 0:
                break
            kills += 1
            words = ('runs', 'resume', self.runs()[0]['run'], '--json')
        self.assertGreaterEqual(kills, 2)
        child, most = self.start(*words), 0

        def ended():
            nonlocal most
            most = max(most, peak_mb(child))
            return child.poll() is not None

        wait_for(ended, 600)
        peaks.append(most)
        run = self.runs()[0]
        self.assertEqual(run['status'], 'completed')
        doc = self.tutti('runs', 'show', run['run'], '--json', code=0, seconds=120).json
        self.assertEqual(doc['output']['completed'], ITEMS)
        self.assertEqual(list(doc['nodes']), ['each'])
        self.assertEqual(self.results(), {i + 1: f'{i}' for i in range(ITEMS)})
        self.assertLessEqual(max(peaks) - self.empty_mb(), 64, peaks)
        self.assertEqual(self.ends(), ITEMS)

    def recorded(self):
        return self.number('SELECT COUNT(*) FROM journal')

    def ends(self):
        """Ends of items in the journal: one each, none twice."""
        self.assertEqual(self.number('SELECT COUNT(*) FROM journal WHERE kind = 43'), 0)
        self.assertEqual(self.number('SELECT COUNT(DISTINCT path) FROM journal WHERE kind = 42'), ITEMS)
        return self.number('SELECT COUNT(*) FROM journal WHERE kind = 42')


if __name__ == '__main__':
    unittest.main()

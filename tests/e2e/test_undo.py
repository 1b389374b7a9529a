"""Undoing what a run has done: against a real API, with processes that are killed meanwhile."""

import json
import os
import signal
import threading
import unittest

from world import Case, peak_mb, wait_for

ITEMS = int(os.environ.get('UNDO_ITEMS', '8000'))


class Undo(Case):
    """A trip of three bookings in a store of items; the fourth call ends it."""

    def setUp(self):
        super().setUp()
        self.server = self.model()

    @property
    def items(self):
        with self.server.api.lock:
            return dict(self.server.api.items)

    def trip(self, end='GET /status/400', undo='DELETE /items/{{ output.id }}', n=3, **more):
        nodes = []
        for i in range(n):
            nodes.append(
                {
                    'id': f's{i}',
                    'agent': 'shop',
                    'action': 'POST /items',
                    'parameters': {'body': {'what': i}},
                    'effect': 'idempotent',
                    'depends_on': [f's{i - 1}'] if i else [],
                    'compensate': {'action': undo, **more},
                }
            )
        nodes.append({'id': 'end', 'agent': 'shop', 'action': end, 'depends_on': [f's{n - 1}']})
        shop = {'type': 'http', 'endpoint': f'{self.server.url}/api', 'retry': {'initial_delay': 0.05}}
        return self.flow('tutti.json', agents={'shop': shop}, workflows={'trip': {'nodes': nodes}})

    def calls(self, method):
        return [path for asked, path in list(self.server.api.asked) if asked == method]

    def test_a_failed_run_is_undone_newest_first(self):
        done = self.tutti('run', self.trip(), '--run-id', 'mine', code=1)
        self.assertEqual(self.items, {})
        self.assertEqual(self.calls('DELETE'), [f'/api/items/{i}' for i in (3, 2, 1)])
        self.assertIn('undoing what was done (failed)', done.err)
        self.assertIn('undo of s2', done.err)
        self.assertIn('undone: 3 nodes', done.err)
        doc = self.tutti('runs', 'show', 'mine', '--json', code=0).json
        self.assertEqual(doc['status'], 'compensated')
        self.assertIn('answered 400', doc['error'])
        self.assertEqual(
            doc['compensation'],
            {'reason': 'failed', 'undone': 3, 'by_hand': 0, 'not_done': 0, 'given_up': 0, 'left': 0},
        )
        self.assertIn('undone: 3 nodes', self.tutti('runs', 'show', 'mine', code=0).out)
        self.assertIn('compensation.completed', self.tutti('runs', 'logs', 'mine', code=0).out)

    def test_killed_again_and_again_while_it_undoes(self):
        file = self.trip(undo='DELETE /items/{{ output.id }}')
        for kill in range(1, 4):
            before = len(self.calls('DELETE'))
            words = ('run', file, '--run-id', 'mine') if kill == 1 else ('runs', 'resume', 'mine')
            self.server.api.slow['DELETE'] = 0.3
            child = self.start(*words)
            wait_for(lambda n=before: len(self.calls('DELETE')) > n or child.poll() is not None)
            child.send_signal(signal.SIGKILL)
            self.end(child)
        self.server.api.slow.clear()
        done = self.tutti('runs', 'resume', 'mine', '--json', code=1)
        self.assertEqual(done.json['status'], 'compensated', done)
        self.assertEqual(self.items, {})
        self.assertEqual(len(self.calls('POST')), 3)

    def test_cancel_of_a_run_that_was_killed(self):
        child = self.start('run', self.trip(end='GET /hang'), '--run-id', 'mine')
        self.interrupt_when(child, lambda: '/api/hang' in self.calls('GET'), signal.SIGKILL)
        self.assertEqual(len(self.items), 3)
        done = self.tutti('runs', 'cancel', 'mine', code=0)
        self.assertEqual(self.items, {})
        self.assertIn('undone: 3 nodes', done.err)
        self.assertEqual(self.runs()[0]['status'], 'compensated')
        self.assertIn('has ended', self.tutti('runs', 'cancel', 'mine', code=2).err)

    def test_cancel_from_elsewhere_while_it_runs(self):
        child = self.start('run', self.trip(end='GET /hang'), '--run-id', 'mine', '--json')
        wait_for(lambda: '/api/hang' in self.calls('GET'))
        self.tutti('runs', 'cancel', 'mine', code=0)
        done = self.end(child)
        self.assertEqual(done.code, 1, done)
        self.assertEqual(done.json['status'], 'compensated')
        self.assertEqual(done.json['compensation']['reason'], 'cancelled')
        self.assertEqual(self.items, {})

    def test_who_is_refused_asks(self):
        done = self.tutti('run', self.trip(undo='GET /status/403', n=1), '--run-id', 'mine', code=4)
        self.assertIn('gate respond', done.err)
        self.assertEqual([r['status'] for r in self.runs()], ['waiting'])
        self.assertIn('s0/undo[1]', self.tutti('gate', 'ls', code=0).out)
        self.assertIn('s0', self.tutti('runs', 'rollback', 'mine', '--dry-run', code=0).out)
        self.assertIn('none of', self.tutti('gate', 'respond', 'mine', 's0', 'perhaps', code=2).err)
        self.tutti('gate', 'respond', 'mine', 's0', 'retry', code=0)
        self.tutti('runs', 'resume', 'mine', code=4)
        self.assertIn('s0/undo[2]', self.tutti('gate', 'ls', code=0).out)
        self.tutti('gate', 'respond', 'mine', 's0/undo[2]', 'give_up', code=0)
        doc = self.tutti('runs', 'resume', 'mine', '--json', code=1).json
        self.assertEqual((doc['status'], doc['compensation']['given_up']), ('failed', 1))
        self.assertIn('nothing to undo', self.tutti('runs', 'rollback', 'mine', code=2).err)

    def test_rollback(self):
        file = self.trip(end='GET /echo')
        self.tutti('run', file, '--run-id', 'mine', code=0)
        self.assertEqual(len(self.items), 3)
        plan = self.tutti('runs', 'rollback', 'mine', '--dry-run', '--json', code=0).json
        self.assertEqual([one['action'] for one in plan], [f'DELETE /items/{i}' for i in (3, 2, 1)])
        self.assertEqual([one['node'] for one in plan], ['s2', 's1', 's0'])
        self.assertEqual(len(self.items), 3)
        doc = self.tutti('runs', 'rollback', 'mine', '--json', code=0).json
        self.assertEqual((doc['status'], doc['compensation']['reason']), ('compensated', 'rollback'))
        self.assertEqual(self.items, {})
        self.assertIn('undone already', self.tutti('runs', 'rollback', 'mine', code=2).err)
        self.assertIn('nothing to undo', self.tutti('runs', 'rollback', 'mine', '--dry-run', code=0).out)
        self.assertIn('there is no run', self.tutti('runs', 'rollback', 'nobody', code=2).err)
        self.tutti('run', file, '--run-id', 'mine', code=1)  # the same start is the same run

    def test_rollback_of_what_cannot_be(self):
        file = self.flow('plain.json', agents={'a': {'type': 'lua', 'script': 'return 1'}},
                         workflows={'w': {'type': 'chain', 'sequence': ['a']}})
        self.tutti('run', file, '--run-id', 'plain', code=0)
        self.assertIn('no node of it has `compensate`', self.tutti('runs', 'rollback', 'plain', code=2).err)
        self.tutti('runs', 'rollback', code=2)

    def test_ctrl_c_while_it_undoes(self):
        self.server.api.slow['DELETE'] = 0.3
        child = self.start('run', self.trip(), '--run-id', 'mine')
        done = self.interrupt_when(child, lambda: self.calls('DELETE'))
        self.assertEqual(done.code, 130, done)
        self.assertEqual(self.runs()[0]['status'], 'running')
        self.server.api.slow.clear()
        self.assertEqual(self.tutti('runs', 'resume', 'mine', '--json', code=1).json['status'], 'compensated')
        self.assertEqual(self.items, {})


class Many(Case):
    """The items of a file, each a workflow with an undo: forward and back in the memory of a few."""

    def peak_until(self, words, goal, query):
        """The most memory of a process, which is killed when the query gives goal; 0: not at all."""
        child, most = self.start(*words), 0

        def far_enough():
            nonlocal most
            most = max(most, peak_mb(child))
            return child.poll() is not None or (goal and self.number(query) >= goal)

        wait_for(far_enough, 600)
        if goal:
            self.assertIsNone(child.poll(), 'it ended too early')
            child.kill()
        self.end(child)
        return most

    def test_memory_stays_that_of_a_few_while_very_many_are_undone(self):
        self.write('in.jsonl', ''.join(f'{{"n": {i}}}\n' for i in range(ITEMS)))
        each = {'id': 'each', 'type': 'foreach', 'items': {'file': 'in.jsonl'}, 'workflow': 'one'}
        flow = self.flow(
            agents={
                'do': {'type': 'lua', 'script': 'return message'},
                'back': {'type': 'lua', 'script': "return 'back ' .. message"},
                'no': {'type': 'lua', 'script': "error('that was all')"},
            },
            workflows={
                'one': {
                    'nodes': [{'id': 'a', 'agent': 'do', 'input': '{{ inputs.n }}', 'compensate': {'agent': 'back'}}]
                },
                'main': {'nodes': [each, {'id': 'end', 'agent': 'no', 'depends_on': ['each']}]},
            },
        )
        items = 'SELECT COUNT(*) FROM journal WHERE kind = 42'
        undone = "SELECT COUNT(*) FROM journal WHERE kind = 11 AND path LIKE '%/undo[1]'"
        words = ('run', flow, 'main', '--run-id', 'mine', '--quiet')
        again = ('runs', 'resume', 'mine', '--json')
        peaks = [
            self.peak_until(words, ITEMS // 2, items),
            self.peak_until(again, ITEMS // 2, undone),
            self.peak_until(again, 0, undone),
        ]
        doc = self.tutti('runs', 'show', 'mine', '--json', code=0, seconds=120).json
        self.assertEqual(doc['status'], 'compensated')
        self.assertEqual((doc['compensation']['undone'], doc['compensation']['left']), (ITEMS, 0))
        noted = [
            (path, json.loads(bytes(body)[1:].decode())['state'])
            for path, body in self.database('SELECT path, body FROM journal WHERE kind = 61 ORDER BY pos')
        ]
        done = [path for path, state in noted if state == 'done']
        self.assertEqual(done, [path for path, state in noted if state == 'ready'][::-1])
        self.assertEqual(len(done), ITEMS)
        self.assertLessEqual(max(peaks) - self.empty_mb(), 14 + ITEMS / 65536, peaks)


if __name__ == '__main__':
    unittest.main()

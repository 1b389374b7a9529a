"""What a run is worth when its process is interrupted or killed, and when others look at the store meanwhile."""

import collections
import json
import os
import signal
import threading
import time
import unittest

from world import Case, SECRET, wait_for

FIVE = 5


class Runs(Case):
    """A chain of five model calls, each answered slowly enough to be interrupted."""

    def setUp(self):
        super().setUp()
        self.env['MODEL_KEY'] = SECRET

    def chain(self, server, n=FIVE):
        names = [f'a{i}' for i in range(n)]
        return self.flow(
            'tutti.json',
            profiles={'p': self.profile(server)},
            default_profile='p',
            agents={name: {'instruction': f'You are {name}.'} for name in names},
            workflows={'main': {'type': 'chain', 'sequence': names}},
        )

    def slow(self, ms=150):
        return self.model({'rules': [{'reply': {'echo': True}, 'first_ms': ms}]})

    @staticmethod
    def asked(server):
        """How often the service has answered each agent."""
        return collections.Counter(
            r['body']['messages'][0]['content'] for r in list(server.log) if r.get('status') == 200
        )

    def answered(self, server, n):
        return lambda: len([r for r in list(server.log) if r.get('status') == 200]) >= n


class Interrupted(Runs):
    def test_ctrl_c_then_resume_repeats_nothing_recorded(self):
        server = self.slow()
        child = self.start('run', self.chain(server), '-i', 'x')
        done = self.interrupt_when(child, self.answered(server, 2))
        self.assertEqual(done.code, 130, done)
        run = self.runs()[0]
        self.assertEqual(run['status'], 'running')
        kept = [
            n
            for n, node in self.tutti('runs', 'show', run['run'], '--json', code=0).json['nodes'].items()
            if node['status'] == 'completed'
        ]
        self.assertGreaterEqual(len(kept), 1)
        before = self.asked(server)
        doc = self.tutti('runs', 'resume', run['run'][:8], '--json', code=0).json
        self.assertEqual(doc['status'], 'completed')
        self.assertEqual(list(doc['nodes']), [f'a{i}' for i in range(FIVE)])
        after = self.asked(server)
        for name in kept:
            self.assertEqual(after[f'You are {name}.'], before[f'You are {name}.'])
        self.assertEqual(len(after), FIVE)
        self.assertLessEqual(sum(after.values()), FIVE + 1)

    def test_kill_9_then_resume_repeats_nothing_recorded(self):
        server = self.slow()
        child = self.start('run', self.chain(server), '-i', 'x')
        self.interrupt_when(child, self.answered(server, 3), signal.SIGKILL)
        run = self.runs()[0]['run']
        recorded = {
            e['path']
            for e in self.tutti('runs', 'logs', run, '--json', code=0).lines
            if e['event'] == 'step.completed'
        }
        before = self.asked(server)
        doc = self.tutti('runs', 'resume', run, '--json', code=0).json
        self.assertEqual((doc['status'], doc['text'].startswith('echo') or bool(doc['text'])), ('completed', True))
        after = self.asked(server)
        for path in recorded:
            name = f"You are {path.split('/')[0]}."
            self.assertEqual(after[name], before[name], path)
        self.assertLessEqual(sum(after.values()), FIVE + 1)
        ended = [e for e in self.tutti('runs', 'logs', run, '--json', code=0).lines if e['event'] == 'step.completed']
        self.assertEqual(len(ended), FIVE)
        self.assertEqual(len({e['path'] for e in ended}), FIVE)

    def test_killed_again_and_again(self):
        server = self.slow(60)
        child = self.start('run', self.chain(server, 8), '-i', 'x')
        for n in (1, 3, 5):
            self.interrupt_when(child, self.answered(server, n), signal.SIGKILL)
            run = self.runs()[0]['run']
            child = self.start('runs', 'resume', run, '--json')
        doc = self.end(child)
        self.assertEqual(doc.code, 0, doc)
        self.assertLessEqual(sum(self.asked(server).values()), 8 + 3)
        self.assertEqual(doc.json['status'], 'completed')

    def test_resume_of_what_has_ended_or_never_was(self):
        server = self.model()
        doc = self.run_ok(self.chain(server, 1), '-i', 'x')
        done = self.tutti('runs', 'resume', doc['run'])
        self.assertEqual(done.code, 2, done)
        self.assertIn('ended', done.err)
        self.assertEqual(self.tutti('runs', 'resume', '01XXXXXX').code, 2)

    def test_resume_uses_the_definition_that_was_started(self):
        server = self.slow()
        file = self.chain(server)
        child = self.start('run', file, '-i', 'x')
        self.interrupt_when(child, self.answered(server, 1))
        os.unlink(file)
        run = self.runs()[0]['run']
        self.assertEqual(self.tutti('runs', 'resume', run, '--json', code=0).json['status'], 'completed')

    def test_resume_while_it_runs_is_refused(self):
        server = self.slow(400)
        child = self.start('run', self.chain(server), '-i', 'x', '--json')
        run = wait_for(self.is_running)[0]
        done = self.tutti('runs', 'resume', run)
        self.assertNotEqual(done.code, 0, done)
        self.assertIn(run[:6], done.err)
        self.assertEqual(self.end(child).code, 0)


class Effects(Runs):
    """A step that may happen once, killed between its doing and its record."""

    def pay(self, ledger, within=None, then=None, **node):
        return self.flow(
            'tutti.json',
            agents={
                'bank': {'type': 'http', 'endpoint': ledger.url},
                'after': {'type': 'lua', 'script': 'return "after " .. message'},
            },
            workflows={
                'main': {
                    **({'timeout': within} if within else {}),
                    'nodes': [
                        {
                            'id': 'pay',
                            'agent': 'bank',
                            'action': 'POST /append',
                            'parameters': {'body': {'entry': 'one', 'key': 'pay-1'}},
                            **node,
                        },
                        {'id': 'next', 'agent': 'after', 'depends_on': ['pay'], **(then or {})},
                    ],
                }
            },
        )

    def in_doubt(self):
        """A run that was killed after the payment and before its answer; its id."""
        server = self.ledger(delay_ms=2000)
        child = self.start('run', self.pay(server), '-i', 'x')
        self.interrupt_when(child, self.entries, signal.SIGKILL)
        server.delay = 0
        return self.runs()[0]['run']

    def test_parks_and_says_so(self):
        run = self.in_doubt()
        done = self.tutti('runs', 'resume', run, code=4)
        self.assertIn('in doubt', done.err)
        self.assertIn('http:bank', done.err)
        self.assertIn('--in-doubt', done.err)
        self.assertEqual(len(self.entries()), 1)
        self.assertEqual(self.runs()[0]['status'], 'waiting')
        done = self.tutti('runs', 'resume', run, '--json', code=4)
        self.assertEqual(done.json['status'], 'waiting')
        self.assertIn('in doubt', self.tutti('runs', 'show', run, code=0).out)

    def test_done(self):
        run = self.in_doubt()
        doc = self.tutti('runs', 'resume', run, '--in-doubt', 'done', '--json', code=0).json
        self.assertEqual((doc['status'], len(self.entries())), ('completed', 1))

    def test_retry(self):
        run = self.in_doubt()
        doc = self.tutti('runs', 'resume', run, '--in-doubt', 'retry', '--json', code=0).json
        self.assertEqual((doc['status'], len(self.entries())), ('completed', 2))

    def test_fail(self):
        run = self.in_doubt()
        doc = self.tutti('runs', 'resume', run, '--in-doubt', 'fail', '--json', code=1).json
        self.assertEqual((doc['status'], doc['nodes']['pay']['status'], len(self.entries())), ('failed', 'failed', 1))

    def test_after_waiting_it_can_be_answered(self):
        run = self.in_doubt()
        self.tutti('runs', 'resume', run, code=4)
        doc = self.tutti('runs', 'resume', run, '--in-doubt', 'done', '--json', code=0).json
        self.assertEqual((doc['status'], len(self.entries())), ('completed', 1))

    def test_a_wrong_answer_is_refused(self):
        run = self.in_doubt()
        self.tutti('runs', 'resume', run, '--in-doubt', 'maybe', code=2)
        self.assertEqual(len(self.entries()), 1)

    def test_a_lost_answer_parks_the_live_run(self):
        server = self.ledger(lose=1)
        done = self.tutti('run', self.pay(server), '-i', 'x', code=4)
        self.assertIn('in doubt', done.err)
        self.assertEqual(len(self.entries()), 1)

    def late(self, **limits):
        """A run whose payment was cut off by a limit of time while nobody knew what came of it; its id."""
        server = self.ledger(delay_ms=3000)
        done = self.tutti('run', self.pay(server, **(limits or {'total_timeout': '300ms'})), '-i', 'x', code=4)
        self.assertIn("in doubt: 'http:bank' at pay/request was under way", done.err)
        server.delay = 0
        return self.runs()[0]['run']

    def test_cut_off_by_its_total_it_waits_for_an_answer(self):
        run = self.late()
        self.tutti('runs', 'resume', run, code=4)
        doc = self.tutti('runs', 'resume', run, '--in-doubt', 'done', '--json', code=0).json
        self.assertEqual((doc['status'], doc['nodes']['pay']['status'], len(self.entries())), ('completed',) * 2 + (1,))

    def test_cut_off_by_its_total_it_can_be_sent_again_by_a_person(self):
        doc = self.tutti('runs', 'resume', self.late(), '--in-doubt', 'retry', '--json', code=0).json
        self.assertEqual((doc['nodes']['pay']['status'], len(self.entries())), ('completed', 2))

    def test_a_workflow_whose_time_was_over_has_none_after_the_answer(self):
        for answer in 'done', 'retry':
            with self.subTest(answer):
                body = {'entry': 'two', 'key': answer}
                more = {'agent': 'bank', 'action': 'POST /append', 'parameters': {'body': body}}
                run, before = self.late(within='400ms', then=more), len(self.entries())
                doc = self.tutti('runs', 'resume', run, '--in-doubt', answer, '--json', code=1).json
                self.assertIn("the workflow's timeout of 400 ms", doc['error'])
                self.assertNotIn('next', [name for name, n in doc['nodes'].items() if n['status'] == 'completed'])
                self.assertEqual(len(self.entries()), before)

    def test_the_key_is_the_same_for_the_same_step(self):
        server = self.model()
        file = self.flow(
            'tutti.json',
            agents={'api': {'type': 'http', 'endpoint': server.url + '/api', 'retry': {'initial_delay': 0.01}}},
            workflows={
                'main': {
                    'nodes': [
                        {'id': 'make', 'agent': 'api', 'effect': 'idempotent', 'action': 'POST /status/503?times=2'}
                    ]
                }
            },
        )
        self.run_ok(file, '-i', 'x')
        self.run_ok(file, '-i', 'x')
        keys = [r['headers']['idempotency-key'] for r in server.log] if 'headers' in server.log[0] else None
        self.assertEqual(server.count, 4)
        if keys:
            self.assertEqual(len(set(keys[:3])), 1)
            self.assertNotEqual(keys[0], keys[3])


class Looking(Runs):
    def test_ls_show_logs_prune(self):
        server = self.model()
        file = self.chain(server, 2)
        one, two = (self.run_ok(file, '-i', str(i)) for i in range(2))
        self.assertEqual([r['run'] for r in self.runs()], [two['run'], one['run']])
        self.assertRegex(self.tutti('runs', code=0).out, f"{one['run']}  completed")
        self.assertEqual(self.tutti('runs', 'ls', '--live', '--json', code=0).json, [])
        self.assertEqual(
            len(self.tutti('runs', 'ls', '--status', 'completed', '--workflow', 'main', '--json', code=0).json), 2
        )
        self.assertEqual(self.tutti('runs', 'ls', '--workflow', 'other', '--json', code=0).json, [])
        self.assertEqual(self.tutti('runs', 'show', one['run'], '--json', code=0).json, one)
        text = self.tutti(
            'runs', 'show', one['run'][:12] if one['run'][:12] != two['run'][:12] else one['run'], code=0
        ).out
        self.assertRegex(text, r'completed +a0 ')
        self.assertRegex(text, '2 model calls')
        self.assertRegex(self.tutti('runs', 'logs', one['run'], code=0).out, r'run\.started')
        self.assertEqual(self.tutti('runs', 'prune', '--older-than', '1h', code=0).out, '0 runs deleted\n')
        self.assertEqual(self.tutti('runs', 'prune', '--older-than', '0s', code=0).out, '2 runs deleted\n')
        self.assertEqual(self.runs(), [])

    def test_prune_leaves_what_has_not_ended(self):
        server = self.slow()
        child = self.start('run', self.chain(server), '-i', 'x')
        self.interrupt_when(child, self.answered(server, 1))
        self.tutti('runs', 'prune', '--older-than', '0s', code=0)
        run = self.runs()[0]['run']
        self.assertEqual(self.tutti('runs', 'resume', run, '--json', code=0).json['status'], 'completed')

    def test_an_ambiguous_beginning_is_refused(self):
        server = self.model()
        file = self.chain(server, 1)
        for i in range(2):
            self.run_ok(file, '-i', str(i))
        done = self.tutti('runs', 'show', '01')
        self.assertEqual(done.code, 2, done)

    def test_prune_says_json(self):
        self.run_ok(self.chain(self.model(), 1), '-i', 'x')
        self.assertEqual(self.tutti('runs', 'prune', '--older-than', '0s', '--json', code=0).json.get('deleted'), 1)

    def test_cancel_says_json(self):
        server = self.slow()
        child = self.start('run', self.chain(server), '-i', 'x')
        self.interrupt_when(child, self.answered(server, 1))
        run = self.runs()[0]['run']
        self.assertEqual(self.tutti('runs', 'cancel', run, '--json', code=0).json.get('run'), run)


class Cancelled(Runs):
    def test_what_nobody_runs_ends_at_once(self):
        server = self.slow()
        child = self.start('run', self.chain(server), '-i', 'x')
        self.interrupt_when(child, self.answered(server, 1))
        run = self.runs()[0]['run']
        self.tutti('runs', 'cancel', run, code=0)
        self.assertEqual(self.runs()[0]['status'], 'cancelled')
        self.assertEqual(self.tutti('runs', 'resume', run).code, 2)
        self.assertEqual(self.tutti('runs', 'cancel', run).code, 2)

    def test_from_a_second_process(self):
        server = self.model({'rules': [{'fault': {'kind': 'hang', 'ms': 20000}}]})
        child = self.start('run', self.chain(server), '-i', 'x', '--json')
        run = wait_for(self.is_running)[0]
        wait_for(lambda: server.in_flight)
        self.tutti('runs', 'cancel', run, code=0)
        done = self.end(child, seconds=8)
        self.assertEqual((done.code, done.json['status']), (1, 'cancelled'))
        self.assertEqual(self.runs()[0]['status'], 'cancelled')


class Together(Runs):
    def test_two_at_once_on_one_store(self):
        server = self.slow(50)
        file = self.chain(server)
        children = [self.start('run', file, '-i', str(i), '--json') for i in range(4)]
        docs = [self.end(child) for child in children]
        for done in docs:
            self.assertEqual(done.code, 0, done)
        self.assertEqual(len({done.json['run'] for done in docs}), 4)
        self.assertEqual([r['status'] for r in self.runs()], ['completed'] * 4)
        self.assertEqual(sum(self.asked(server).values()), 4 * FIVE)

    def test_the_first_is_killed_and_the_second_goes_on(self):
        server = self.slow(250)
        file = self.chain(server)
        first = self.start('run', file, '-i', 'one', '--json')
        wait_for(self.is_running)
        second = self.start('run', file, '-i', 'two', '--json')
        wait_for(lambda: len(self.is_running() or ()) == 2)
        first.kill()
        first.wait()
        done = self.end(second)
        self.assertEqual((done.code, done.json['status']), (0, 'completed'), done)
        left = [r['run'] for r in self.runs() if r['status'] == 'running']
        self.assertEqual(len(left), 1)
        self.assertEqual(self.tutti('runs', 'resume', left[0], '--json', code=0).json['status'], 'completed')

    def test_same_run_id_at_once_is_one_run(self):
        server = self.slow(50)
        file = self.chain(server, 2)
        children = [self.start('run', file, '-i', 'x', '--run-id', 'only', '--json') for _ in range(3)]
        done = [self.end(child) for child in children]
        self.assertIn(0, [d.code for d in done])
        self.assertEqual(len(self.runs()), 1)
        self.assertEqual(sum(self.asked(server).values()), 2)


if __name__ == '__main__':
    unittest.main()

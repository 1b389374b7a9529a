"""Limits, as the service sees them: whatever happens to the process in between."""

import signal
import threading
import time
import unittest

from world import Case, SECRET, wait_for

RPM = 5
LOOK = 3  # seconds in which more would have come; a whole minute is for tests in virtual time


class Limits(Case):
    def setUp(self):
        super().setUp()
        self.env['MODEL_KEY'] = SECRET

    def many(self, server, n=12, **limits):
        return self.flow(
            'tutti.json',
            profiles={'p': self.profile(server)},
            limits={'openai:m-1': limits},
            agents={'a': {'instruction': 'You are a.'}},
            workflows={
                'main': {
                    'nodes': [
                        {
                            'id': 'all',
                            'type': 'foreach',
                            'items': list(range(n)),
                            'agent': 'a',
                            'input': 'item {{ item }}',
                            'concurrency': n,
                        }
                    ]
                }
            },
        )

    def quick(self, **more):
        return self.model({'rules': [dict({'reply': {'echo': True}}, **more)]})

    @staticmethod
    def asked(server):
        return server.count

    def stays(self, server, n, child, most=None):
        """So many, and no more than the most for a while in which the process lives."""
        wait_for(lambda: self.asked(server) >= n)
        end = time.monotonic() + LOOK
        while time.monotonic() < end:
            self.assertLessEqual(self.asked(server), most or n)
            self.assertIsNone(child.poll(), 'it ended')
            threading.Event().wait(0.05)


class Killed(Limits):
    def test_kill_9_empties_no_minute(self):
        server = self.quick(first_ms=100)
        path = self.many(server, rpm=RPM)
        child = self.start('run', path)
        self.interrupt_when(child, lambda: self.asked(server) >= 3, signal.SIGKILL)
        before = self.asked(server)
        self.assertLessEqual(before, RPM)
        run = self.runs()[0]['run']
        began = time.monotonic()
        child = self.start('runs', 'resume', run)
        while time.monotonic() < began + LOOK:
            self.assertLessEqual(self.asked(server), RPM)
            self.assertIsNone(child.poll(), 'it ended')
            threading.Event().wait(0.05)
        self.assertEqual(self.interrupt_when(child, lambda: True).code, 130)

    def test_kill_9_again_and_again(self):
        server = self.quick(first_ms=60)
        path = self.many(server, n=40, rpm=20, max_concurrency=1)
        child = self.start('run', path)
        self.interrupt_when(child, lambda: self.asked(server) >= 2, signal.SIGKILL)
        run = self.runs()[0]['run']
        for _ in range(5):
            before = self.asked(server)
            child = self.start('runs', 'resume', run)
            self.interrupt_when(child, lambda: self.asked(server) > before, signal.SIGKILL)
        child = self.start('runs', 'resume', run)
        self.stays(server, 12, child, most=20)  # a death costs what is left of a block, one call here
        self.assertEqual(self.interrupt_when(child, lambda: True).code, 130)


class Ended(Limits):
    def test_what_is_left_is_there_for_the_next(self):
        server = self.quick()
        path = self.many(server, n=4, rpm=RPM)
        self.run_ok(path)
        self.assertEqual(self.asked(server), 4)
        child = self.start('run', path)
        self.stays(server, RPM, child)
        self.assertEqual(self.interrupt_when(child, lambda: True).code, 130)


class Together(Limits):
    def test_never_more_at_once(self):
        server = self.quick(first_ms=60)
        self.run_ok(self.many(server, n=20, max_concurrency=3))
        self.assertEqual(self.asked(server), 20)
        self.assertLessEqual(server.stats()['in_flight_max'], 3)


class Told(Limits):
    def test_a_429_holds_back_everybody(self):
        rules = [
            {'fault': {'status': 429, 'retry_after': 1, 'times': 1}, 'reply': {'echo': True}},
        ]
        server = self.model({'rules': rules})
        began = time.monotonic()
        doc = self.run_ok(self.many(server, n=3, max_concurrency=1))
        self.assertEqual(doc['status'], 'completed')
        self.assertGreaterEqual(time.monotonic() - began, 1)
        self.assertEqual(self.asked(server), 4)


if __name__ == '__main__':
    unittest.main()

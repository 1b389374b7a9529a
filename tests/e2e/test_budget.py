"""Money: what a model service counts itself never exceeds what a budget allows, whatever happens to the program."""

import signal
import threading
import unittest

from world import Case, SECRET

INPUT, OUTPUT = 60, 40  # tokens that each call is charged for by the service
PRICE = {'input': 1000, 'output': 2000}  # USD per million
COST = (INPUT * PRICE['input'] + OUTPUT * PRICE['output']) / 1e6
BRANCHES = 50


class Budgets(Case):
    def setUp(self):
        super().setUp()
        self.env['MODEL_KEY'] = SECRET

    def service(self, **rule):
        reply = {'text': 'done', 'usage': {'input': INPUT, 'output': OUTPUT}}
        return self.model({'rules': [dict({'reply': reply}, **rule)]})

    def panel(self, server, budget, **workflow):
        return self.flow(
            'tutti.json',
            profiles={'p': dict(self.profile(server), max_tokens=OUTPUT, price=PRICE)},
            default_profile='p',
            agents={'a': {'instruction': 'Be brief.', 'retry': {'initial_delay': 0.01}}},
            workflows={
                'main': dict(
                    {
                        'type': 'parallel',
                        'fan_out': ['a'] * BRANCHES,
                        'max_concurrency': BRANCHES,
                        'budget': budget,
                    },
                    **workflow,
                )
            },
        )

    @staticmethod
    def charged(server):
        """Every request that came in, answered or not."""
        return len(list(server.log)) * COST

    def test_fifty_branches_never_spend_more(self):
        server = self.service(first_ms=20)
        budget = 3.0
        doc = self.tutti('run', self.panel(server, {'usd': budget}), '-i', 'x', '--json').json
        self.assertLessEqual(self.charged(server), budget)
        self.assertGreater(self.charged(server), budget - 0.35, 'what one call may cost at most is left over')
        done = [n for n in doc['nodes'].values() if n['status'] == 'completed']
        left = [n for n in doc['nodes'].values() if n['status'] == 'failed']
        self.assertEqual((len(done), len(done) + len(left)), (len(server.log), BRANCHES))
        for node in left:
            self.assertRegex(
                node['error'],
                r"^workflow 'main': budget of 3\.00 USD: 2\.\d+ spent or reserved, this call may cost 0\.\d+$",
            )
        self.assertAlmostEqual(doc['usage']['cost_usd'], self.charged(server))

    def test_what_breaks_off_counts_in_full(self):
        server = self.service(fault={'kind': 'drop', 'after': 5})
        budget = 2.0
        doc = self.tutti('run', self.panel(server, {'usd': budget}), '-i', 'x', '--json').json
        self.assertEqual(doc['status'], 'failed')
        self.assertGreater(len(server.log), 3)
        self.assertLessEqual(self.charged(server), budget)

    def test_what_is_refused_costs_nothing(self):
        server = self.service(fault={'status': 429, 'retry_after': 0, 'times': 60})
        budget = BRANCHES * COST + 0.4  # and room for the worst case of the last call
        self.tutti('run', self.panel(server, {'usd': budget}, max_concurrency=1), '-i', 'x', '--json')
        answered = [r for r in server.log if r.get('status') == 200]
        self.assertEqual(len(server.log) - len(answered), 60)
        self.assertEqual(len(answered), BRANCHES - 60 // 3, 'those that were refused three times are given up')

    def test_killed_again_and_again(self):
        """A crash loses what was known of the calls under way: they count, so the next life has less."""
        server = self.service(first_ms=150)
        budget = 5.0
        child = self.start('run', self.panel(server, {'usd': budget}, max_concurrency=4), '-i', 'x')
        killed = 0
        for _ in range(8):
            before = len(server.log)
            if not self.kill_when(child, lambda: len(server.log) > before + 2):
                break
            killed += 1
            self.assertLessEqual(self.charged(server), budget)
            run = self.runs()[0]
            if run['status'] not in ('running', 'waiting'):
                break
            child = self.start('runs', 'resume', run['run'], '--json')
        self.end(child)
        self.assertGreaterEqual(killed, 2)
        self.assertLessEqual(self.charged(server), budget)
        doc = self.tutti('runs', 'show', self.runs()[0]['run'], '--json', code=0).json
        self.assertIn(doc['status'], ('partial', 'failed'))
        self.assertIn('budget of 5.00 USD', str(doc['nodes']))

    @staticmethod
    def kill_when(child, what):
        """False: it ended by itself."""
        while child.poll() is None:
            if what():
                child.send_signal(signal.SIGKILL)
                child.wait()
                return True
            threading.Event().wait(0.002)
        return False

    def test_without_a_price_it_is_refused(self):
        server = self.service()
        file = self.flow(
            'tutti.json',
            profiles={'p': self.profile(server)},
            agents={'a': {}},
            workflows={'main': {'type': 'chain', 'sequence': ['a'], 'budget': {'usd': 1}}},
        )
        for words in (('validate', file), ('run', file, '-i', 'x')):
            done = self.tutti(*words)
            self.assertEqual(done.code, 3, done)
            self.assertIn("profile 'p' has no `max_tokens`", done.err)
            self.assertIn("profile 'p' has no known price", done.err)
        self.assertEqual(len(server.log), 0)


if __name__ == '__main__':
    unittest.main()

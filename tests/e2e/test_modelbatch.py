"""Model calls that are gathered: sent together, or as a batch of the provider's that a resumed run finds again."""

import json
import signal
import unittest

from world import SECRET, Case, wait_for

PROVIDERS = ('openai', 'anthropic', 'gemini')


class ModelBatch(Case):
    def setUp(self):
        super().setUp()
        self.env.update(MODEL_KEY=SECRET)

    def crowd(self, server, n, provider='openai', fallbacks=(), settings=None, budget=None, price=None, **batch):
        profiles = {'p': self.profile(server, provider, batch=batch, fallbacks=list(fallbacks), max_tokens=100)}
        if price:
            profiles['p']['price'] = price
        for name in fallbacks:
            profiles[name] = self.profile(server, provider, max_tokens=100)
        return self.flow(
            settings=dict({'retry_delay': 0.05}, **(settings or {})),
            profiles=profiles,
            default_profile='p',
            agents={'a': {'instruction': 'Answer.'}},
            workflows={
                'main': {
                    'max_concurrency': 100,
                    'budget': budget or {},
                    'failure_strategy': 'partial_completion_allowed',
                    'nodes': [{'id': f'n{i}', 'agent': 'a', 'input': f'word {i}'} for i in range(n)],
                }
            },
        )

    def batches(self, server):
        """The items of each batch that was submitted."""
        return [record['batch'] for record in server.log if 'batch' in record]

    def calls(self, server):
        return [r for r in server.log if r.get('provider') in PROVIDERS]

    def texts(self, doc):
        return {name: node.get('text') for name, node in doc['nodes'].items()}

    def echoes(self, n):
        return {f'n{i}': f'echo: word {i}' for i in range(n)}

    # ---- without an endpoint ---------------------------------------------------------------------
    def test_without_an_endpoint_they_are_sent_together(self):
        server = self.model()
        doc = self.run_ok(self.crowd(server, 7, size=3, flush_interval='400ms'), '-i', 'x')
        self.assertEqual(self.texts(doc), self.echoes(7))
        times = sorted(record['time'] for record in server.log)
        self.assertEqual(len(times), 7)
        self.assertLess(times[5] - times[0], 0.3)  # two full groups at once
        self.assertGreater(times[6] - times[5], 0.2)  # the last alone, when it has waited
        self.assertEqual(self.batches(server), [])

    def test_an_endpoint_that_no_provider_has_is_refused(self):
        server = self.model()
        file = self.crowd(server, 1, 'ollama', endpoint=True)
        done = self.tutti('run', file, '-i', 'x', code=1)
        self.assertIn("profile 'p': 'ollama' has no endpoint for batches", done.err)

    # ---- with one --------------------------------------------------------------------------------
    def endpoint(self, server, n, provider, **more):
        how = {'size': n, 'flush_interval': '2s', 'endpoint': True, 'poll_interval': '50ms'}
        return self.crowd(server, n, provider, **dict(how, **more))

    def test_one_batch_and_each_has_its_own_answer(self):
        for provider in PROVIDERS:
            with self.subTest(provider=provider):
                server = self.model({'batch': {'seconds': 0.4}})
                doc = self.run_ok(self.endpoint(server, 20, provider), '-i', 'x')
                self.assertEqual(self.texts(doc), self.echoes(20))
                self.assertEqual([len(items) for items in self.batches(server)], [20])
                self.assertEqual(self.calls(server), [])
                self.assertGreater(doc['usage']['output_tokens'], 0)
                looks = [r for r in server.log if r['method'] == 'GET']
                self.assertLess(len(looks), 60, 'twenty calls look at their batch together')

    def test_items_fail_alone(self):
        for provider in PROVIDERS:
            with self.subTest(provider=provider):
                script = {
                    'batch': {'expired': 'word 1', 'forgotten': 'word 2'},
                    'rules': [{'match': {'user': 'word 3'}, 'fault': 400}, {'reply': {'echo': True}}],
                }
                server = self.model(script)
                doc = self.run_ok(self.endpoint(server, 5, provider), '-i', 'x')
                errors = {name: node.get('error', '') for name, node in doc['nodes'].items()}
                self.assertEqual(doc['status'], 'partial')
                self.assertEqual([name for name in sorted(errors) if not errors[name]], ['n0', 'n4'])
                self.assertIn('did not come to it', errors['n1'])
                self.assertIn('without a result for it', errors['n2'])
                self.assertIn('refuses the request', errors['n3'])
                self.assertEqual(len(self.batches(server)), 1)

    def test_what_a_batch_did_not_answer_goes_to_the_fallback(self):
        server = self.model({'batch': {'expired': 'word 1'}})
        doc = self.run_ok(self.endpoint(server, 3, 'openai', fallbacks=['q']), '-i', 'x')
        self.assertEqual(self.texts(doc), self.echoes(3))
        self.assertEqual([call['user'] for call in self.calls(server)], ['word 1'])

    def test_a_batch_that_is_refused(self):
        server = self.model({'batch': {'fails': True}})
        done = self.tutti('run', self.endpoint(server, 2, 'openai'), '-i', 'x', code=1)
        self.assertIn('was refused: This line is not parseable.', done.err)

    def test_troubles_on_the_way(self):
        for provider in PROVIDERS:
            with self.subTest(provider=provider):
                server = self.model({'batch': {'refused': {'status': 429, 'times': 1}, 'away': 9, 'garbled': 1}})
                file = self.endpoint(server, 3, provider, flush_interval='100ms')
                doc = self.run_ok(file, '-i', 'x', seconds=40)
                wrong = [name for name, node in doc['nodes'].items() if node['status'] == 'failed']
                self.assertEqual(len(wrong), 1)  # whose result was cut
                self.assertIn('without a result', doc['nodes'][wrong[0]]['error'])
                self.assertEqual(len(self.batches(server)), 1)

    def test_a_gemini_batch_that_fails_goes_to_the_fallback(self):
        server = self.model({'batch': {'fails': True}})
        doc = self.run_ok(self.endpoint(server, 2, 'gemini', fallbacks=['q']), '-i', 'x')
        self.assertEqual(self.texts(doc), self.echoes(2))
        self.assertEqual((len(self.batches(server)), len(self.calls(server))), (1, 2))

    def test_a_lost_answer_is_no_second_batch(self):
        for provider in ('openai', 'gemini'):
            with self.subTest(provider=provider):
                server = self.model({'batch': {'lost': 1, 'page': 1}})
                doc = self.run_ok(self.endpoint(server, 3, provider), '-i', 'x')
                self.assertEqual(self.texts(doc), self.echoes(3))
                self.assertEqual([len(items) for items in self.batches(server)], [3])

    def test_more_than_a_request_holds_is_two_batches(self):
        server = self.model({'rules': [{'reply': {'text': 'read'}}]})
        with open(self.endpoint(server, 5, 'gemini', flush_interval='500ms')) as file:
            flow = json.load(file)
        for node in flow['workflows']['main']['nodes']:
            del node['input']  # that of the run
        words = self.write('words.txt', 'word ' * 1000000)
        doc = self.run_ok(self.write('flow.json', json.dumps(flow)), '-i', '@' + words, seconds=60)
        self.assertEqual(sorted(len(items) for items in self.batches(server)), [2, 3])
        self.assertEqual({node['text'] for node in doc['nodes'].values()}, {'read'})

    def test_when_nobody_knows_a_person_is_asked(self):
        server = self.model({'batch': {'lost': 1}})
        done = self.tutti('run', self.endpoint(server, 1, 'anthropic'), '-i', 'x', code=4)
        self.assertIn('in doubt', done.err)
        self.assertEqual(len(self.batches(server)), 1)

    def test_a_killed_run_goes_on_with_its_batch(self):
        for provider in PROVIDERS:
            with self.subTest(provider=provider):
                server = self.model({'batch': {'seconds': 1.5}})
                file = self.endpoint(server, 5, provider)
                child = self.start('run', file, '-i', 'x', '--run-id', provider)
                wait_for(lambda: [r for r in server.log if '/batch' in r['path'] and r['method'] == 'GET'])
                child.send_signal(signal.SIGKILL)
                child.wait()
                doc = self.tutti('runs', 'resume', provider, '--json', code=0).json
                self.assertEqual(self.texts(doc), self.echoes(5))
                self.assertEqual([len(items) for items in self.batches(server)], [5])
                self.assertEqual(self.calls(server), [])

    # ---- money -----------------------------------------------------------------------------------
    PRICE = {'input': 1000, 'output': 1000}
    WORST = 0.224  # of a call: 100 tokens of reply, and a token for each byte that is sent

    def paid(self, server, n, usd, **more):
        how = dict({'size': 1, 'flush_interval': '1ms', 'budget': {'usd': usd}, 'price': self.PRICE}, **more)
        return self.endpoint(server, n, 'openai', **how)

    def test_a_budget_is_never_overshot_by_what_is_under_way(self):
        """Two fit at a time, by what they may cost; all fit by what they do."""
        server = self.model({'batch': {'seconds': 0.3}})
        file = self.paid(server, 5, 2.2 * self.WORST)
        child = self.start('run', file, '-i', 'x', '--run-id', 'r', '--json')
        wait_for(lambda: len(self.batches(server)) == 2)
        child.send_signal(signal.SIGKILL)  # between the submission and the result
        child.wait()
        self.assertEqual(len(self.batches(server)), 2)
        doc = self.tutti('runs', 'resume', 'r', '--json', code=0, seconds=60).json
        self.assertEqual(self.texts(doc), self.echoes(5))
        self.assertEqual([len(items) for items in self.batches(server)], [1] * 5)
        posts = [r['time'] for r in server.log if 'batch' in r]
        self.assertGreater(posts[2] - posts[0], 0.3, 'the third waits for an answer')
        self.assertLess(doc['usage']['cost_usd'], 2.2 * self.WORST)

    def test_the_price_of_batches(self):
        server = self.model()
        whole = self.run_ok(self.paid(server, 1, 1), '-i', 'x')['usage']['cost_usd']
        half = self.run_ok(self.paid(server, 1, 1, price_factor=0.5), '-i', 'x')['usage']['cost_usd']
        self.assertGreater(half, 0)
        self.assertAlmostEqual(whole, 2 * half)

    def test_what_is_not_answered_is_known_to_be_free(self):
        server = self.model({'batch': {'expired': 'word [01]'}})
        doc = self.run_ok(self.paid(server, 3, 1.2 * self.WORST), '-i', 'x', seconds=40)
        self.assertEqual(doc['nodes']['n2']['text'], 'echo: word 2')
        self.assertEqual(len(self.batches(server)), 3)

    def test_a_call_that_is_gathering_is_gathered_again(self):
        server = self.model()
        file = self.endpoint(server, 3, 'openai', size=10, flush_interval='1s')
        child = self.start('run', file, '-i', 'x', '--run-id', 'r')
        wait_for(self.is_running)
        child.send_signal(signal.SIGKILL)
        child.wait()
        doc = self.tutti('runs', 'resume', 'r', '--json', code=0).json
        self.assertEqual(self.texts(doc), self.echoes(3))
        self.assertEqual([len(items) for items in self.batches(server)], [3])

    def test_played_back_without_a_batch(self):
        server = self.model()
        file = self.endpoint(server, 2, 'openai')
        self.run_ok(file, '-i', 'x', '--record', self.path('tape'))
        doc = self.run_ok(file, '-i', 'x', '--replay', self.path('tape'))
        self.assertEqual(self.texts(doc), self.echoes(2))
        self.assertEqual((self.batches(server), len(self.calls(server))), ([], 2))


if __name__ == '__main__':
    unittest.main()

"""Agents that are no models: http, exec, lua, mcp, custom; and the guards around any of them."""

import os
import unittest

from world import Case, SECRET, filesystem_server, needs_servers, processes_with


class Agents(Case):
    def node(self, agent, node=None, **top):
        """A flow of one node that this agent does; its file."""
        return self.flow(
            'tutti.json',
            agents={'a': agent},
            **top,
            workflows={'main': {'nodes': [dict({'id': 'n', 'agent': 'a'}, **(node or {}))]}},
        )


class Http(Agents):
    def api(self, server, path='', **more):
        return dict({'type': 'http', 'endpoint': f'{server.url}/api{path}', 'retry': {'initial_delay': 0.01}}, **more)

    def test_methods_and_parameters(self):
        server = self.model()
        for node, method, path, query, body in (
            ({}, 'GET', '/api/echo', {}, None),
            ({'action': 'fetch'}, 'GET', '/api/echo', {}, None),
            ({'action': 'GET /more'}, 'GET', '/api/echo/more', {}, None),
            (
                {'action': '/more', 'parameters': {'query': {'a b': 'c&d', 'n': 2}}},
                'GET',
                '/api/echo/more',
                {'a b': 'c&d', 'n': '2'},
                None,
            ),
            ({'action': 'GET', 'parameters': {'n': 2}}, 'GET', '/api/echo', {'n': '2'}, None),
            ({'action': 'POST', 'parameters': {'n': 2}}, 'POST', '/api/echo', {}, {'n': 2}),
            (
                {'action': 'POST /more', 'parameters': {'body': {'x': [1]}, 'query': {'q': 'w'}}},
                'POST',
                '/api/echo/more',
                {'q': 'w'},
                {'x': [1]},
            ),
            ({'parameters': {'body': 'plain'}}, 'POST', '/api/echo', {}, 'plain'),
            (
                {'action': 'PUT /7', 'parameters': {'body': {'x': '{{ input }}'}}},
                'PUT',
                '/api/echo/7',
                {},
                {'x': 'in'},
            ),
            ({'action': 'PATCH', 'parameters': {'body': {}}}, 'PATCH', '/api/echo', {}, {}),
            ({'action': 'DELETE /7'}, 'DELETE', '/api/echo/7', {}, None),
        ):
            with self.subTest(node=node):
                seen = self.run_ok(self.node(self.api(server, '/echo'), node), '-i', 'in')['output']
                self.assertEqual(
                    (seen['method'], seen['path'], seen['query'], seen['body']), (method, path, query, body)
                )
                self.assertEqual('idempotency-key' in seen['headers'], method != 'GET')

    def test_a_key_of_ones_own_is_the_only_one(self):
        server = self.model()
        node = {'action': 'POST', 'parameters': {'body': {}, 'headers': {'idempotency-key': 'mine'}}}
        seen = self.run_ok(self.node(self.api(server, '/echo'), node), '-i', 'in')['output']
        self.assertEqual(seen['headers']['idempotency-key'], 'mine')

    def test_authentication(self):
        server = self.model()
        for auth, path in (
            ({'type': 'bearer', 'token': '${T}'}, f'/auth/bearer/{SECRET}'),
            ({'type': 'api_key', 'key': '${T}'}, f'/auth/key/X-API-Key/{SECRET}'),
            ({'type': 'api_key', 'key': '${T}', 'header': 'X-Mine'}, f'/auth/key/X-Mine/{SECRET}'),
            ({'type': 'basic', 'username': 'me', 'password': '${T}'}, f'/auth/basic/me/{SECRET}'),
        ):
            with self.subTest(auth=auth):
                agent = self.api(server, authentication=auth)
                node = {'action': 'GET ' + path.replace(SECRET, '{{ inputs.t }}')}
                doc = self.run_ok(self.node(agent, node), '-i', f't={SECRET}', env={'T': SECRET})
                self.assertEqual(doc['output'], {'ok': True})
                done = self.tutti(
                    'run', self.node(agent, node), '-i', f't={SECRET}', code=1, env={'T': 'wrong-one-here'}
                )
                self.assertIn('401', done.err)

    def test_headers(self):
        server = self.model()
        agent = self.api(
            server, '/echo', headers={'X-One': '1', 'X-Key': '${T}'}, custom_params={'user_agent': 'me/1'}
        )
        seen = self.run_ok(
            self.node(agent, {'parameters': {'headers': {'X-Two': '{{ input }}'}}}), '-i', 'zwei', env={'T': SECRET}
        )['output']['headers']
        self.assertEqual((seen['x-one'], seen['x-two'], seen['user-agent']), ('1', 'zwei', 'me/1'))

    def test_refusals(self):
        server = self.model()
        for path, says, calls in (
            ('/status/400', '400', 1),
            ('/status/401', '401', 1),
            ('/status/404', '404', 1),
            ('/status/422', '422', 1),
            ('/status/500', '500', 3),
            ('/status/503', '503', 3),
            ('/malformed', 'JSON', 3),
            ('/reset', '', 3),
            ('/drop', '', 3),
        ):
            with self.subTest(path=path):
                server.reset()
                done = self.tutti('run', self.node(self.api(server, path)), '-i', 'x')
                self.assertEqual(done.code, 1, done)
                self.assertIn(says, done.err)
                if calls == 1:
                    self.assertIn('as asked' if 'status' in path else '', done.err)
                if path != '/malformed':
                    self.assertEqual(server.count, calls)

    def test_what_passes(self):
        server = self.model()
        doc = self.run_ok(self.node(self.api(server, '/status/503?times=2')), '-i', 'x')
        self.assertEqual((doc['output']['ok'], doc['nodes']['n']['attempts']), (True, 3))
        doc = self.run_ok(self.node(self.api(server, '/status/429?times=1&retry_after=1')), '-i', 'x')
        self.assertGreaterEqual(doc['duration_ms'], 1000)

    def test_a_post_that_may_have_happened_is_not_repeated(self):
        server = self.model()
        done = self.tutti('run', self.node(self.api(server, '/status/500'), {'action': 'POST'}), '-i', 'x')
        self.assertEqual((done.code, server.count), (4, 1), done)

    def test_bodies(self):
        server = self.model()
        self.assertTrue(self.run_ok(self.node(self.api(server, '/gzip')), '-i', 'x')['output']['ok'])
        self.assertEqual(self.run_ok(self.node(self.api(server, '/empty')), '-i', 'x')['text'], '')
        self.assertIn('<html>', self.run_ok(self.node(self.api(server, '/type/text%2Fhtml')), '-i', 'x')['text'])
        done = self.tutti('run', self.node(self.api(server, '/big/90000000')), '-i', 'x')
        self.assertEqual(done.code, 1, done.err[-300:])

    def test_timeout(self):
        server = self.model()
        agent = self.api(server, '/hang', timeout='200ms', retry={'max_attempts': 1})
        done = self.tutti('run', self.node(agent), '-i', 'x', code=1)
        self.assertIn('0.2 s', done.err)


class Exec(Agents):
    def program(self, *command, **more):
        return dict({'type': 'exec', 'command': list(command)}, **more)

    def test_what_it_is_given(self):
        doc = self.run_ok(self.node(self.program('cat'), {'parameters': {'n': 1}, 'instruction': 'do'}), '-i', 'in')
        given = doc['output']
        self.assertEqual((given['input'], given['parameters'], given['instruction']), ('in', {'n': 1}, 'do'))
        self.assertIn('in', given['message'])

    def test_it_may_answer_while_it_reads(self):
        self.write('big', 'x' * 1000000)
        for command in (
            ['cat'],
            ['sh', '-c', 'head -c 1000000 /dev/zero | tr "\\0" x; cat > /dev/null'],
            ['sh', '-c', 'exec < /dev/null; head -c 1000000 /dev/zero | tr "\\0" x'],
        ):
            with self.subTest(command=command):
                agent = self.program(*command, timeout='20s')
                self.assertGreaterEqual(len(self.run_ok(self.node(agent), '-i', '@big')['text']), 1000000)

    def test_environment_and_folder(self):
        os.mkdir(self.path('sub'))
        agent = self.program(
            'sh', '-c', 'pwd; echo $MINE; echo $TUTTI_IDEMPOTENCY_KEY', env={'MINE': '${T}'}, cwd='sub'
        )
        lines = self.run_ok(self.node(agent), '-i', 'x', env={'T': 'value'})['text'].split('\n')
        self.assertEqual(os.path.basename(lines[0]), 'sub')
        self.assertEqual(lines[1], 'value')
        self.assertGreaterEqual(len(lines[2]), 16)

    def test_output(self):
        for script, output in (
            ('echo hi', 'hi'),
            ('echo "{\\"a\\": 1}"', {'a': 1}),
            ('echo "{broken"', '{broken'),
            ('printf ""', ''),
            ('echo 42', '42'),
        ):
            with self.subTest(script=script):
                self.assertEqual(
                    self.run_ok(self.node(self.program('sh', '-c', script)), '-i', 'x')['output'], output
                )

    def test_failures(self):
        for command, code, says in (
            (['sh', '-c', 'echo oh dear >&2; exit 3'], 1, ['status 3', 'oh dear']),
            (['no-such-program-here'], 1, ['no-such-program-here']),
            (['sh', '-c', 'kill -9 $$'], 4, ['signal 9']),
        ):
            with self.subTest(command=command):
                done = self.tutti('run', self.node(self.program(*command)), '-i', 'x')
                self.assertEqual(done.code, code, done)
                for word in says:
                    self.assertIn(word, done.err)

    def test_time_out_and_nothing_left_behind(self):
        agent = self.program(
            'sh',
            '-c',
            'sleep 37.125 & sleep 37.125; echo x',  # tidy: it is ended
            timeout='300ms',
            effect='pure',
            retry={'max_attempts': 1},
        )
        done = self.tutti('run', self.node(agent), '-i', 'x', code=1)
        self.assertIn('0.3 s', done.err)
        self.assertLess(done.seconds, 5)
        self.assertEqual(processes_with('37.125'), [])

    def test_too_much_output(self):
        agent = self.program('sh', '-c', 'head -c 40000000 /dev/zero', effect='pure', retry={'max_attempts': 1})
        done = self.tutti('run', self.node(agent), '-i', 'x', code=1)
        self.assertIn('16 MB', done.err)

    def test_a_program_that_does_not_read(self):
        self.write('big.txt', 'x' * 3000000)
        agent = self.program('true', effect='pure')
        self.run_ok(self.node(agent), '-i', '@big.txt')

    def test_retry_when_asked(self):
        agent = self.program(
            'sh',
            '-c',
            'echo x >> tries; [ $(wc -l < tries) -ge 3 ] && echo done',
            effect='idempotent',
            retry={'initial_delay': 0.01, 'retry_on': ['invalid']},
        )
        doc = self.run_ok(self.node(agent), '-i', 'x')
        self.assertEqual((doc['text'], doc['nodes']['n']['attempts']), ('done', 3))


class Lua(Agents):
    def test_what_it_sees_and_returns(self):
        for script, output in (
            ('return {text = string.upper(message)}', {'text': 'HELLO'}),
            ('return parameters.n + 1', 4),
            ('return nil', None),
            ('return {1, 2}', [1, 2]),
            ('return input .. "!"', 'hello!'),
        ):
            with self.subTest(script=script):
                doc = self.run_ok(
                    self.node({'type': 'lua', 'script': script}, {'parameters': {'n': 3}}), '-i', 'hello'
                )
                self.assertEqual(doc['output'], output)

    def test_failures(self):
        for script, says in (
            ('return message.x.y', 'script'),
            ('while true do end', ''),
            ('return os.execute("ls")', ''),
            ('local s = "x" while true do s = s .. s end', ''),
            ('error("mine")', 'mine'),
        ):
            with self.subTest(script=script):
                done = self.tutti('run', self.node({'type': 'lua', 'script': script}), '-i', 'x', code=1, seconds=10)
                self.assertIn(says, done.err)

    def test_a_script_that_does_not_parse_is_found_before_the_run(self):
        done = self.tutti('validate', self.node({'type': 'lua', 'script': 'return ('}))
        self.assertEqual(done.code, 3, done)

    def test_custom_names_a_lua_agent(self):
        file = self.flow(
            'tutti.json',
            agents={
                'endpoint': {'type': 'lua', 'script': 'return parameters.special_config .. message'},
                'mine': {
                    'type': 'custom',
                    'endpoint': 'custom://endpoint',
                    'custom_params': {'special_config': 'v:'},
                },
            },
            workflows={'main': {'type': 'chain', 'sequence': ['mine']}},
        )
        self.assertEqual(self.run_ok(file, '-i', 'x')['text'], 'v:x')


@needs_servers
class Mcp(Agents):
    def test_an_action_is_a_tool(self):
        file = self.flow(
            'tutti.json',
            mcp_servers={'files': filesystem_server(self.dir)},
            agents={'disk': {'type': 'mcp', 'server': 'files'}},
            workflows={
                'main': {
                    'nodes': [
                        {
                            'id': 'put',
                            'agent': 'disk',
                            'action': 'write_file',
                            'parameters': {'path': self.path('made.txt'), 'content': '{{ input }}'},
                        },
                        {
                            'id': 'get',
                            'agent': 'disk',
                            'action': 'read_text_file',
                            'depends_on': ['put'],
                            'parameters': {'path': self.path('made.txt')},
                        },
                    ]
                }
            },
        )
        doc = self.run_ok(file, '-i', 'kept')
        self.assertEqual(self.read('made.txt'), 'kept')
        self.assertIn('kept', doc['text'])

    def test_failures(self):
        for node, says in (
            ({'action': 'read_text_file', 'parameters': {'path': '/etc/shadow'}}, 'denied'),
            ({'action': 'no_such_tool'}, 'no_such_tool'),
            ({}, 'action'),
        ):
            with self.subTest(node=node):
                file = self.node(
                    {'type': 'mcp', 'server': 'files'}, node, mcp_servers={'files': filesystem_server(self.dir)}
                )
                done = self.tutti('run', file, '-i', 'x')
                self.assertEqual(done.code, 1, done)
                self.assertIn(says, done.err.lower())


class Guards(Agents):
    """Retry, time and breaker, around an API."""

    def run_on(self, path, agent=None, node=None, **top):
        server = self.model()
        file = self.node(dict({'type': 'http', 'endpoint': server.url + '/api' + path}, **(agent or {})), node, **top)
        return server, self.tutti('run', file, '-i', 'x', '--json')

    def test_attempts_and_delays(self):
        server, done = self.run_on(
            '/status/503',
            {'retry': {'max_attempts': 4, 'initial_delay': 0.1, 'exponential_base': 2, 'jitter': False}},
        )
        self.assertEqual((done.code, server.count), (1, 4))
        self.assertGreaterEqual(done.json['duration_ms'], 700)
        self.assertLess(done.json['duration_ms'], 1600)

    def test_the_nodes_retry_wins(self):
        server, done = self.run_on(
            '/status/503',
            {'retry_config': {'max_attempts': 4, 'initial_delay': 0.01}},
            {'retry_config': {'max_attempts': 2}},
        )
        self.assertEqual((done.code, server.count), (1, 2))

    def test_total_timeout_of_a_node(self):
        server, done = self.run_on(
            '/status/503', {'retry': {'max_attempts': 100, 'initial_delay': 0.1}}, {'total_timeout': '500ms'}
        )
        self.assertEqual(done.code, 1)
        self.assertLess(done.seconds, 3)

    def test_total_timeout_of_an_agent(self):
        server, done = self.run_on(
            '/status/503',
            {'retry': {'max_attempts': 40, 'initial_delay': 0.1, 'max_delay': 0.2}, 'total_timeout': '500ms'},
        )
        self.assertEqual(done.code, 1)
        self.assertLess(done.json['duration_ms'], 2000)

    def test_timeout_of_the_workflow(self):
        server = self.model()
        file = self.flow(
            'tutti.json',
            agents={'a': {'type': 'http', 'endpoint': server.url + '/api/hang'}},
            workflows={'main': {'timeout': '300ms', 'nodes': [{'id': 'n', 'agent': 'a'}]}},
        )
        done = self.tutti('run', file, '-i', 'x', '--json', code=1)
        self.assertIn('300 ms', done.json['error'])
        self.assertLess(done.seconds, 4)

    def test_breaker_opens_and_recovers(self):
        server = self.model()
        nodes = [
            {'id': f'n{i}', 'agent': 'a', 'continue_on_failure': True, 'depends_on': [f'n{i - 1}'] if i else []}
            for i in range(6)
        ]
        nodes.insert(5, {'id': 'pause', 'agent': 'wait', 'depends_on': ['n4']})
        nodes[6]['depends_on'] = ['pause']
        file = self.flow(
            'tutti.json',
            agents={
                'wait': {'type': 'exec', 'command': ['sleep', '0.6']},
                'a': {
                    'type': 'http',
                    'endpoint': server.url + '/api/status/503?times=3',
                    'retry': {'max_attempts': 1},
                    'circuit_breaker': {'failure_threshold': 3, 'recovery_timeout': 0.5},
                },
            },
            workflows={'main': {'nodes': nodes}},
        )
        doc = self.tutti('run', file, '-i', 'x', '--json', code=0).json
        self.assertEqual([doc['nodes'][f'n{i}']['status'] for i in range(6)], ['failed'] * 5 + ['completed'])
        for name in ('n3', 'n4'):
            self.assertIn('circuit breaker is open', doc['nodes'][name]['error'])
        self.assertEqual(server.count, 4)


class Graphs(Agents):
    """The failure strategies, conditions and limits of a graph; no network."""

    AGENTS = {
        'ok': {'type': 'lua', 'script': 'return message'},
        'bad': {'type': 'lua', 'script': 'error("bad")'},
        'slow': {'type': 'exec', 'command': ['sleep', '0.4'], 'effect': 'pure'},
        'endless': {'type': 'exec', 'command': ['sleep', '60'], 'effect': 'pure'},
    }

    def go(self, nodes, code=0, **workflow):
        file = self.flow('tutti.json', agents=self.AGENTS, workflows={'main': dict({'nodes': nodes}, **workflow)})
        doc = self.tutti('run', file, '-i', 'in', '--json', code=code).json
        return doc, {name: node['status'] for name, node in doc['nodes'].items()}

    NODES = [
        {'id': 'x', 'agent': 'bad'},
        {'id': 'after', 'agent': 'ok', 'depends_on': ['x']},
        {'id': 'y', 'agent': 'slow'},
        {'id': 'z', 'agent': 'ok', 'depends_on': ['y']},
    ]

    def test_failure_strategies(self):
        endless = [dict(node, agent='endless') if node['id'] == 'y' else node for node in self.NODES]
        doc, seen = self.go(endless, 1)
        self.assertEqual((doc['status'], seen['x'], seen['y']), ('failed', 'failed', 'cancelled'))
        self.assertNotIn(seen.get('z'), ('completed',))
        self.assertLess(doc['duration_ms'], 30000)  # it was not waited for
        doc, seen = self.go(self.NODES, 1, failure_strategy='continue_on_failure')
        self.assertEqual(
            (doc['status'], seen), ('failed', {'x': 'failed', 'after': 'skipped', 'y': 'completed', 'z': 'completed'})
        )
        doc, seen = self.go(self.NODES, 0, failure_strategy='partial_completion_allowed')
        self.assertEqual(
            (doc['status'], seen),
            ('partial', {'x': 'failed', 'after': 'skipped', 'y': 'completed', 'z': 'completed'}),
        )
        doc, seen = self.go(self.NODES[:2], 1, failure_strategy='partial_completion_allowed')
        self.assertEqual(doc['status'], 'failed')

    def test_continue_on_failure_of_a_node(self):
        doc, seen = self.go(
            [
                {'id': 'x', 'agent': 'bad', 'continue_on_failure': True},
                {'id': 'y', 'agent': 'ok', 'input': "{{ steps.x.error }}", 'depends_on': ['x']},
            ]
        )
        self.assertEqual((doc['status'], seen), ('completed', {'x': 'failed', 'y': 'completed'}))
        self.assertIn('bad', doc['text'])

    def test_conditions_and_references(self):
        doc, seen = self.go(
            [
                {'id': 'a', 'agent': 'ok', 'input': '{"n": 3}'},
                {'id': 'b', 'agent': 'ok', 'when': "steps.a.text == 'no'", 'input': 'b'},
                {'id': 'c', 'agent': 'ok', 'when': "steps.a.text != 'no' && true", 'input': 'c {{ steps.a.text }}'},
                {'id': 'd', 'agent': 'ok', 'depends_on': ['b']},
                {'id': 'e', 'agent': 'ok', 'depends_on': ['b', 'c']},
            ]
        )
        self.assertEqual(seen, {'a': 'completed', 'b': 'skipped', 'c': 'completed', 'd': 'skipped', 'e': 'completed'})
        self.assertEqual(doc['text'], '[c]:\nc {"n": 3}')  # of several: a labelled section each

    def test_one_at_a_time(self):
        nodes = [{'id': name, 'agent': 'slow'} for name in 'abc']
        doc, _ = self.go(nodes, parallel_execution=False)
        self.assertGreaterEqual(doc['duration_ms'], 1200)
        doc, _ = self.go(nodes, max_concurrency=2)
        self.assertGreaterEqual(doc['duration_ms'], 800)

    def test_edges_output_and_nested_workflows(self):
        file = self.flow(
            'tutti.json',
            agents=self.AGENTS,
            workflows={
                'inner': {'type': 'chain', 'sequence': ['ok', 'ok']},
                'main': {
                    'nodes': [{'id': 'a', 'agent': 'ok', 'input': 'first'}, {'id': 'b', 'workflow': 'inner'}],
                    'edges': [['a', 'b']],
                    'output': {'both': '{{ steps.a.text }}+{{ steps.b.text }}'},
                },
            },
        )
        doc = self.run_ok(file, 'main', '-i', 'x')
        self.assertEqual(doc['output'], {'both': 'first+first'})
        self.assertIn('b/ok', doc['nodes'])

    def test_which_workflow(self):
        flows = {'one': {'type': 'chain', 'sequence': ['ok']}, 'two': {'type': 'chain', 'sequence': ['ok']}}
        file = self.flow('tutti.json', agents=self.AGENTS, workflows=flows)
        done = self.tutti('run', file, '-i', 'x', code=2)
        for word in ('one', 'two'):
            self.assertIn(word, done.err)


if __name__ == '__main__':
    unittest.main()

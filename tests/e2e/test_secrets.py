"""A key is in no output, no event, no message and no file the program leaves, whatever goes wrong."""

import unittest

from world import BASE, Case, SECRET

HEADER = 'hd-secret-77aa02b1c3d4'


class Secrets(Case):
    def setUp(self):
        super().setUp()
        self.env.update(MODEL_KEY=SECRET, EXTRA_TOKEN=HEADER)

    def file(self, server, provider='openai'):
        return self.flow(
            'tutti.json',
            profiles={'p': self.profile(server, provider, headers={'X-Extra': '${EXTRA_TOKEN}'})},
            default_profile='p',
            agents={
                'a': {'retry': {'max_attempts': 2, 'initial_delay': 0.01}},
                'api': {
                    'type': 'http',
                    'endpoint': server.url + '/api/echo',
                    'authentication': {'type': 'bearer', 'token': '${EXTRA_TOKEN}'},
                },
                'basic': {
                    'type': 'http',
                    'endpoint': server.url + '/api/status/500',
                    'retry': {'max_attempts': 1},
                    'authentication': {'type': 'basic', 'username': 'u', 'password': '${EXTRA_TOKEN}'},
                },
                'leak': {
                    'type': 'exec',
                    'command': ['sh', '-c', 'echo got $SENT; echo $SENT >&2; exit $0', '0'],
                    'env': {'SENT': '${EXTRA_TOKEN}'},
                    'effect': 'pure',
                },
                'fail': {
                    'type': 'exec',
                    'command': ['sh', '-c', 'echo bad $SENT >&2; exit 9'],
                    'env': {'SENT': '${EXTRA_TOKEN}'},
                    'effect': 'pure',
                },
            },
            workflows={
                'main': {'type': 'chain', 'sequence': ['a']},
                'calls': {'nodes': [{'id': 'x', 'agent': 'api'}]},
                'auth': {'nodes': [{'id': 'x', 'agent': 'basic'}]},
                'leaks': {'type': 'chain', 'sequence': ['leak']},
                'fails': {'type': 'chain', 'sequence': ['fail']},
            },
        )

    def nowhere(self, *dones):
        for word in (SECRET, HEADER):
            self.assert_nowhere(word, *dones)

    def ways(self, file, workflow, code):
        return [
            self.tutti('run', file, workflow, '-i', 'x', *words, code=code)
            for words in ([], ['--json'], ['--events'], ['--debug'], ['--debug', '--json'])
        ]

    def test_every_way_of_running(self):
        server = self.model()
        for provider in BASE:
            for done in self.ways(self.file(server, provider), 'main', 0):
                self.nowhere(done)
        sent = {r['headers'].get('authorization') for r in server.log if 'headers' in r}
        if sent:
            self.assertIn('Bearer ' + SECRET, sent)

    def test_debug_logs_the_requests(self):
        done = self.tutti('run', self.file(self.model()), 'main', '-i', 'a telling word', '--debug', code=0)
        self.assertIn('a telling word', done.err)
        self.nowhere(done)

    def test_every_way_of_failing(self):
        server = self.model({'rules': [{'fault': {'status': 401, 'body': f'Incorrect API key provided: {SECRET}'}}]})
        for done in self.ways(self.file(server), 'main', 1):
            self.assertIn('401', done.err + done.out)
            for word in (SECRET, HEADER):
                self.assertNotIn(word, done.err + done.out)
        server = self.model()
        for done in self.ways(self.file(server), 'auth', 1):
            self.assertIn('500', done.err + done.out)
            self.nowhere(done)

    def test_what_others_say_back_is_hidden_when_shown(self):
        server = self.model()
        for workflow, code in (('calls', 0), ('leaks', 0), ('fails', 1)):
            for done in self.ways(self.file(server), workflow, code):
                self.assertNotIn(HEADER, done.err + done.out)

    def test_stored_runs_show_no_key(self):
        server = self.model({'rules': [{'fault': {'status': 401, 'body': f'Incorrect API key provided: {SECRET}'}}]})
        for workflow in ('main', 'calls', 'leaks', 'fails'):
            self.tutti('run', self.file(server), workflow, '-i', 'x')
        for run in self.runs():
            for command in ('show', 'logs'):
                for words in ([], ['--json']):
                    done = self.tutti('runs', command, run['run'], *words, code=0)
                    self.assertNotIn(SECRET, done.out + done.err)
                    self.assertNotIn(HEADER, done.out + done.err, f'{command} of {run}')

    def test_the_journal_holds_no_key(self):
        """Not even what a service said back: an error text with the key in it."""
        server = self.model({'rules': [{'fault': {'status': 401, 'body': f'Incorrect API key provided: {SECRET}'}}]})
        self.tutti('run', self.file(server), 'main', '-i', 'x', code=1)
        self.nowhere()

    def test_doctor_validate_graph(self):
        file = self.file(self.model())
        for words in (
            ['doctor', file],
            ['doctor', file, '--json'],
            ['validate', file],
            ['graph', file, 'main'],
            ['run', file, 'main', '--dry-run'],
        ):
            self.nowhere(self.tutti(*words))

    def test_what_servers_say_is_hidden(self):
        """One that repeats its key: as it ends, as a tool's result and as an error."""
        self.write('.env', f'TOOL_KEY={SECRET}\n')
        self.write(
            's.py',
            'import json, os, sys\n'
            'key = os.environ["K"]\n'
            'for line in sys.stdin:\n'
            '    m = json.loads(line)\n'
            '    r = {}\n'
            '    if "id" not in m: continue\n'
            '    if m["method"] == "initialize": r = {"protocolVersion": m["params"]["protocolVersion"],\n'
            '        "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}\n'
            '    if m["method"] == "tools/list": r = {"tools": [{"name": "t", "description": key,\n'
            '        "inputSchema": {"type": "object"}}]}\n'
            '    if m["method"] == "tools/call": r = {"content": [{"type": "text", "text": key}]}\n'
            '    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": r}), flush=True)\n',
        )
        dies = '{command: sh, args: [-c, "echo no $K >&2; exit 3"], env: {K: "${TOOL_KEY}"}}'
        tells = '{command: python3, args: [s.py], env: {K: "${TOOL_KEY}"}}'
        flow = 'agents: {a: {type: lua, script: return message}}\nworkflows: {w: {type: chain, sequence: [a]}}\n'
        self.write('tutti.yaml', f'mcp_servers:\n  dies: {dies}\n  tells: {tells}\n{flow}')
        for words, code in (
            (['mcp', 'ls'], 0),
            (['mcp', 'tools'], 1),
            (['mcp', 'call', 'dies', 't'], 1),
            (['mcp', 'call', 'tells', 't'], 0),
            (['doctor'], 1),
        ):
            for json in ([], ['--json']):
                done = self.tutti(*words, *json, code=code)
                self.assertIn('***', done.out + done.err)
                self.assert_nowhere(SECRET, done, besides=('.env',))

    def test_cassettes(self):
        server = self.model()
        self.tutti('run', self.file(server), 'main', '-i', 'x', '--record', 'tape.jsonl', code=0)
        self.nowhere()

    def test_from_dotenv(self):
        server = self.model()
        del self.env['MODEL_KEY']
        self.write('.env', f'MODEL_KEY={SECRET}\n')
        for done in self.ways(self.file(server), 'main', 0):
            self.assert_nowhere(SECRET, done, besides=('.env',))


if __name__ == '__main__':
    unittest.main()

"""What tells about a file without running it; a first workflow; the library as it is installed."""

import glob
import json
import os
import shutil
import subprocess
import time
import unittest
import xml.dom.minidom

from world import Case, EXAMPLES, SERVERS, TOP, TUTTI, filesystem_server, needs_servers

GRAPH = '''
agents: {a: {type: lua, script: return 1}, b: {type: lua, script: return 2}}
workflows:
  panel: {type: parallel, fan_out: [a, b], fan_in: a}
  main:
    nodes:
      - {id: first, agent: a}
      - {id: "odd & 'name' <1>", agent: b, when: "steps.first.output > 1"}
      - {id: last, workflow: panel, depends_on: [first]}
'''


class Validate(Case):
    def test_all_errors_at_once_in_order(self):
        self.write(
            'bad.yaml',
            '''agents:
  one: {type: lmm}
  two: {type: http}
  three: {retry: {max_attempts: none}}
workflows:
  w:
    nodes:
      - {id: x, agent: nobody}
      - {id: y, agent: three, depends_on: [z]}
      - {id: y, agent: three}
''',
        )
        done = self.tutti('validate', 'bad.yaml', code=3)
        lines = done.err.strip().split('\n')
        self.assertEqual([int(line.split(':')[1]) for line in lines], [2, 3, 4, 8, 9, 10])
        self.assertIn("did you mean 'llm'", lines[0])
        found = self.tutti('validate', 'bad.yaml', '--json', code=3)
        doc = json.loads(found.out)
        self.assertEqual(
            (doc['valid'], [p['line'] for p in doc['problems'] if p['level'] == 'error']), (False, [2, 3, 4, 8, 9, 10])
        )

    def test_names_of_nodes_come_next_all_at_once(self):
        """They are looked up when everything else is right: a second list, again in one go."""
        self.write(
            'bad.yaml',
            '''agents:
  a: {type: lua, script: return 1}
workflows:
  w:
    nodes:
      - {id: x, agent: a, depends_on: [z]}
      - {id: y, agent: a, input: "{{ steps.q.text }}"}
''',
        )
        lines = self.tutti('validate', 'bad.yaml', code=3).err.strip().split('\n')
        self.assertEqual([int(line.split(':')[1]) for line in lines], [6, 7])

    def test_json_when_the_file_is_valid_or_missing(self):
        self.write('tutti.yaml', GRAPH)
        self.assertEqual(
            self.tutti('validate', '--json', code=0).json, {'file': 'tutti.yaml', 'valid': True, 'problems': []}
        )
        self.assertNotEqual(self.tutti('validate', 'not-here.yaml').code, 0)

    def test_files_that_are_no_files(self):
        for name, text in (
            ('empty.yaml', ''),
            ('tab.yaml', 'agents:\n\ta: 1\n'),
            ('json.json', '{"agents": {'),
            (
                'cycle.yaml',
                'agents: {a: {}}\nworkflows: {w: {nodes: '
                '[{id: x, agent: a, depends_on: [y]}, {id: y, agent: a, depends_on: [x]}]}}\n',
            ),
            (
                'bomb.yaml',
                'a: &a [x,x,x,x,x,x,x,x,x]\n'
                + ''.join(
                    f'{chr(98 + i)}: &{chr(98 + i)} [' + ','.join(['*' + chr(97 + i)] * 9) + ']\n' for i in range(9)
                ),
            ),
        ):
            with self.subTest(name=name):
                self.write(name, text)
                done = self.tutti('validate', name, code=3)
                self.assertIn(name, done.err)
                self.assertLess(done.seconds, 5)

    def test_include_outside_is_refused(self):
        os.mkdir(self.path('sub'))
        self.write('outside.yaml', 'agents: {a: {}}\n')
        self.write('sub/tutti.yaml', 'include: [../outside.yaml]\nworkflows: {w: {type: chain, sequence: [a]}}\n')
        self.assertIn('outside', self.tutti('validate', 'sub/tutti.yaml', code=3).err)


class Manual(Case):
    def test_each_block_is_a_valid_file(self):
        with open(os.path.join(TOP, 'docs', 'language.md'), encoding='utf-8') as opened:
            blocks = [part.split('```')[0] for part in opened.read().split('```yaml\n')[1:]]
        self.assertGreater(len(blocks), 4)
        for i, block in enumerate(blocks):
            with self.subTest(i=i):
                self.write(f'{i}/block.yaml', block)
                self.tutti('validate', f'{i}/block.yaml', code=0)


class Graph(Case):
    def setUp(self):
        super().setUp()
        self.write('tutti.yaml', GRAPH)

    def draw(self, how):
        return self.tutti('graph', 'tutti.yaml', 'main', '--format', how, code=0).out

    def test_text(self):
        out = self.draw('text')
        for word in ('first', "odd & 'name' <1>", 'last'):
            self.assertIn(word, out)

    def test_mermaid(self):
        out = self.draw('mermaid')
        self.assertRegex(out, r'^(graph|flowchart) ')
        self.assertIn('-->', out)

    def test_dot_and_svg(self):
        out = self.draw('dot')
        self.assertTrue(out.startswith('digraph'))
        if not shutil.which('dot'):
            self.skipTest('no Graphviz here: svg is not drawn')
        subprocess.run(['dot', '-Tplain'], input=out, text=True, check=True, capture_output=True)
        xml.dom.minidom.parseString(self.draw('svg'))

    def test_svg_without_graphviz_says_so(self):
        done = self.tutti('graph', 'tutti.yaml', 'main', '-f', 'svg', env={'PATH': '/nowhere'})
        self.assertNotEqual(done.code, 0)
        self.assertIn('Graphviz', done.err)


class Schema(Case):
    def test_it_fits_the_examples(self):
        schema = self.tutti('schema', code=0).json
        self.assertIn('$schema', schema)
        try:
            import jsonschema
            import yaml
        except ImportError as error:
            self.skipTest(f'{error.name} is not installed; the schema was only parsed')
        checker = jsonschema.validators.validator_for(schema)
        checker.check_schema(schema)
        for path in sorted(glob.glob(os.path.join(EXAMPLES, '*.yaml'))):
            with self.subTest(path=os.path.basename(path)), open(path, encoding='utf-8') as opened:
                checker(schema).validate(yaml.safe_load(opened))
        for bad in ({'agnets': {}}, {'agents': {'a': {'type': 'lmm'}}}, {'workflows': {'w': {'type': 'chain'}}}):
            with self.subTest(bad=bad), self.assertRaises(jsonschema.ValidationError):
                checker(schema).validate(bad)


class FirstSteps(Case):
    def test_init_then_run_within_a_second(self):
        start = time.monotonic()
        self.tutti('init', code=0)
        self.assertEqual(self.tutti('run', '-i', 'Hello', code=0).out, 'Hello\n')
        self.assertLess(time.monotonic() - start, 1)
        self.tutti('validate', code=0)
        self.assertIn('.tutti', self.read('.gitignore'))

    def test_init_overwrites_nothing(self):
        self.write('tutti.yaml', 'mine')
        self.tutti('init', code=2)
        self.assertEqual(self.read('tutti.yaml'), 'mine')
        self.tutti('init', '--force', code=0)
        self.tutti('init', 'folder', code=0)
        self.assertTrue(os.path.exists(self.path('folder', 'tutti.yaml')))

    def test_doctor(self):
        checks = self.tutti('doctor', '--json', code=0).json
        for check in checks:
            self.assertEqual(set(check), {'check', 'result', 'text'})
            self.assertIn(check['result'], ('ok', 'note'))
        self.assertFalse(os.path.exists(self.path('.tutti')))
        self.write('tutti.yaml', 'agents: {a: {type: lmm}}\nworkflows: {w: {type: chain, sequence: [b]}}\n')
        done = self.tutti('doctor', '--json', code=1)
        self.assertIn('problem', [check['result'] for check in done.json])

    def test_doctor_finds_a_server_that_does_not_start(self):
        self.write('tutti.yaml', GRAPH + 'mcp_servers: {gone: {command: no-such-server-here}}\n')
        done = self.tutti('doctor', '--json', code=1)
        self.assertIn('no-such-server-here', [c['text'] for c in done.json if c['check'] == 'server gone'][0])

    def test_bench(self):
        self.tutti('init', code=0)
        self.assertTrue(self.tutti('bench', '-n', '20', '--json', code=0).json)


@needs_servers
class McpCommand(Case):
    def setUp(self):
        super().setUp()
        everything = os.path.join(SERVERS, 'server-everything', 'dist', 'index.js')
        memory = os.path.join(SERVERS, 'server-memory', 'dist', 'index.js')
        self.flow(
            'tutti.json',
            mcp_servers={
                'files': filesystem_server(self.dir),
                'all': {'command': 'node', 'args': [everything]},
                'memory': {'command': 'node', 'args': [memory]},
            },
        )

    def test_ls(self):
        rows = self.tutti('mcp', 'ls', '--json', code=0).json
        self.assertEqual(sorted(row['name'] for row in rows), ['all', 'files', 'memory'])
        out = self.tutti('mcp', 'ls', code=0).out
        self.assertRegex(out, r'files +\w+ +\S+ +\d+ tools')

    def test_tools(self):
        self.assertIn('files.read_text_file', self.tutti('mcp', 'tools', 'files', code=0).out)
        tools = self.tutti('mcp', 'tools', '--json', code=0).json
        self.assertEqual(sorted(tools), ['all', 'files', 'memory'])
        self.assertIn('echo', [tool['name'] for tool in tools['all']])

    def test_call(self):
        self.write('note.txt', 'swordfish')
        out = self.tutti(
            'mcp', 'call', 'files', 'read_text_file', json.dumps({'path': self.path('note.txt')}), code=0
        ).out
        self.assertIn('swordfish', out)
        out = self.tutti('mcp', 'call', 'all', 'echo', '{"message": "hello"}', '--json', code=0).json
        self.assertIn('hello', json.dumps(out['content']))
        self.assertEqual(self.tutti('mcp', 'call', 'files', 'read_text_file', '{"path": "/etc/shadow"}').code, 1)
        self.assertIn('nothing', self.tutti('mcp', 'call', 'files', 'nothing', '{}').err)
        self.assertEqual(self.tutti('mcp', 'call', 'files', 'read_text_file', 'no json').code, 2)
        self.assertNotEqual(self.tutti('mcp', 'call', 'nobody', 'x').code, 0)
        self.assertNotEqual(self.tutti('mcp', 'tools', 'nobody').code, 0)


class Library(Case):
    def test_installed_and_embedded(self):
        """make install, then examples/embed.c against what was installed, with nothing of the source tree."""
        if not shutil.which('cc') or not os.path.exists(os.path.join(TOP, 'build', 'libtutti.a')):
            self.skipTest('no compiler or no build/libtutti.a here')
        root = self.path('root')
        made = subprocess.run(
            ['make', '-s', 'install', f'DESTDIR={root}'],
            cwd=TOP,
            capture_output=True,
            text=True,
            env={k: v for k, v in os.environ.items() if not k.startswith(('MAKE', 'MFLAGS'))},
        )
        self.assertEqual(made.returncode, 0, made.stderr[-2000:])
        usr = os.path.join(root, 'usr', 'local')
        for name in (
            'bin/tutti',
            'lib/libtutti.a',
            'lib/libtutti.so',
            'lib/pkgconfig/tutti.pc',
            'include/tutti/tutti.h',
        ):
            self.assertTrue(os.path.exists(os.path.join(usr, name)), name)
        config = {
            'PKG_CONFIG_PATH': os.path.join(usr, 'lib', 'pkgconfig'),
            'PKG_CONFIG_SYSROOT_DIR': root,
            'PATH': os.environ['PATH'],
        }
        shutil.copy(os.path.join(EXAMPLES, 'embed.c'), self.dir)
        self.write(
            'flow.yaml',
            'profiles: {p: {provider: script, echo: true}}\nagents: {a: {}, b: {}}\n'
            'workflows: {main: {type: chain, sequence: [a, b]}}\n',
        )
        flags = subprocess.run(
            ['pkg-config', '--cflags', '--libs', 'tutti'], env=config, capture_output=True, text=True, check=True
        ).stdout.split()
        static = subprocess.run(
            ['pkg-config', '--static', '--libs', 'tutti'],
            env=dict(config, PKG_CONFIG_SYSROOT_DIR=''),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()[2:]
        lib = os.path.join(usr, 'lib')
        for program, words in (('shared', flags), ('static', [flags[0], os.path.join(lib, 'libtutti.a'), *static])):
            with self.subTest(program=program):
                subprocess.run(
                    ['cc', '-Wall', '-Wextra', '-Werror', 'embed.c', '-o', program, *words],
                    cwd=self.dir,
                    check=True,
                    capture_output=True,
                    text=True,
                )
                done = self.end(
                    self.start('flow.yaml', 'hello', program=self.path(program), env={'LD_LIBRARY_PATH': lib})
                )
                self.assertEqual(done.code, 0, done)
                self.assertEqual(done.json['text'], 'hello')
                self.assertIn('node.completed', done.err)
        names = subprocess.run(
            ['nm', '-g', '--defined-only', os.path.join(lib, 'libtutti.a')], capture_output=True, text=True
        ).stdout
        foreign = [
            line.split()[2]
            for line in names.splitlines()
            if len(line.split()) == 3 and not line.split()[2].startswith('tutti_')
        ]
        self.assertEqual(foreign, [])
        version = subprocess.run(
            [os.path.join(usr, 'bin', 'tutti'), '--version'], capture_output=True, text=True
        ).stdout
        self.assertEqual(version, self.tutti('--version').out)


if __name__ == '__main__':
    unittest.main()

"""`tutti agents`: who can work, with what; asked for, what the tool servers really have."""

import os

from world import Case, filesystem_server, needs_servers

FILE = {
    'profiles': {
        'big': {'provider': 'openai', 'model': 'gpt-4o', 'api_key': 'k'},
        'own': {'base_url': 'http://x', 'model': 'm'},
    },
    'default_profile': 'big',
    'agents': {
        'writer': {'description': 'Writes\nwell', 'capabilities': ['texts', 'letters']},
        'other': {'profile': 'own', 'agents': ['writer']},
        'shrink': {'type': 'exec', 'command': ['cat']},
    },
    'workflows': {'main': {'type': 'chain', 'sequence': ['writer'], 'description': 'All of it'}},
}


class Agents(Case):
    def test_the_list(self):
        rows = self.tutti('agents', self.flow(**FILE), '--json', code=0).json
        self.assertEqual([row['name'] for row in rows], ['writer', 'other', 'shrink', 'main'])
        writer, other, shrink, main = rows
        self.assertEqual(
            [writer[key] for key in ('kind', 'profile', 'provider', 'model', 'multimodal', 'max_tokens', 'status')],
            ['llm', 'big', 'openai', 'gpt-4o', True, 16384, 'idle'],
        )
        self.assertEqual((other['multimodal'], other['max_tokens'], other['agents']), (None, None, ['writer']))
        self.assertEqual((shrink['kind'], 'multimodal' in shrink), ('exec', False))
        self.assertTrue(main['workflow'])

    def test_for_people(self):
        out = self.tutti('agents', self.flow(**FILE), code=0).out
        self.assertIn('writer (llm)  Writes\n', out)
        self.assertIn('openai:gpt-4o; pictures: yes; 16384 tokens of a reply; 128000 of a conversation', out)
        self.assertIn('pictures: unknown; tokens of a reply unknown', out)
        self.assertIn('texts, letters', out)

    def test_one(self):
        file = self.flow(**FILE)
        self.assertEqual(self.tutti('agents', file, '--agent', 'other', '--json', code=0).json['name'], 'other')
        missing = self.tutti('agents', file, '--agent', 'othr', code=2)
        self.assertIn("there is no agent or workflow 'othr' (did you mean 'other'?)", missing.err)
        self.assertEqual(self.tutti('agents', file, 'more', code=2).out, '')
        self.assertIn('unknown key', self.tutti('agents', self.flow(agents={'a': {'x': 1}}), code=3).err)

    @needs_servers
    def test_probed(self):
        os.mkdir(self.path('data'))
        file = self.flow(
            mcp_servers={
                'files': filesystem_server(self.path('data')),
                'gone': {'command': 'no-such-program-here'},
            },
            agents={'a': {'servers': ['files', 'gone']}, 'disk': {'type': 'mcp', 'server': 'files'}},
        )
        rows = self.tutti('agents', file, '--probe', '--json', code=0).json
        probed = rows[0]['probed']
        self.assertIn('read_text_file', probed['files']['tools'])
        self.assertEqual((probed['files']['resources'], probed['files']['prompts']), ([], []))
        self.assertIn('no-such-program-here', probed['gone']['error'])
        self.assertIn('write_file', rows[1]['probed']['files']['tools'])
        self.assertIn('files.tools', self.tutti('agents', file, '--probe', '--agent', 'disk', code=0).out)

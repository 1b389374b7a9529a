#!/usr/bin/env python3
"""A tool server that reads web pages, for tests: what `mcp-server-fetch` and a browser's server do, without the web.

    mcp_pages.py [TOOL]     the one tool it offers (fetch): {url} -> "page: URL", and it never fails

One JSON-RPC message a line on stdin and stdout, as the protocol says.
"""

import json
import sys

TOOL = sys.argv[1] if len(sys.argv) > 1 else 'fetch'
SCHEMA = {'type': 'object', 'required': ['url'], 'properties': {'url': {'type': 'string'}}}


def result_of(method, params):
    if method == 'initialize':
        return {
            'protocolVersion': params['protocolVersion'],
            'capabilities': {'tools': {}},
            'serverInfo': {'name': 'pages', 'version': '1'},
        }
    if method == 'tools/list':
        hints = {'readOnlyHint': True}
        return {'tools': [{'name': TOOL, 'description': 'Reads a page.', 'inputSchema': SCHEMA, 'annotations': hints}]}
    if method == 'tools/call':
        return {'content': [{'type': 'text', 'text': 'page: ' + params['arguments']['url']}]}
    return {} if method == 'ping' else None


for line in sys.stdin:
    message = json.loads(line)
    if 'id' not in message:
        continue
    answer = {'jsonrpc': '2.0', 'id': message['id']}
    found = result_of(message['method'], message.get('params') or {})
    if found is None:
        answer['error'] = {'code': -32601, 'message': 'Method not found'}
    else:
        answer['result'] = found
    print(json.dumps(answer), flush=True)

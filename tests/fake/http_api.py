"""A plain HTTP API below /api/: echo, status on demand, auth checks, a small store, misbehaviour.

ANY    /api/echo                        what was received, as JSON
ANY    /api/status/503?times=2&retry_after=1     that status (the first two times), then 200
ANY    /api/auth/bearer/TOKEN           200 or 401, likewise
ANY    /api/auth/key/HEADER/VALUE       and
ANY    /api/auth/basic/USER/PASSWORD
POST   /api/oauth/token                 client_credentials (client `id`, secret `secret`) -> a bearer token that
ANY    /api/oauth/check                 accepts; tokens live --token-seconds
GET    /api/items[/ID]    POST /api/items    PUT, PATCH, DELETE /api/items/ID
                                        a store; Idempotency-Key makes a repeated POST answer as the first did
ANY    /api/delay/MS   /api/hang   /api/drop   /api/reset   /api/malformed   /api/empty   /api/gzip
ANY    /api/big/BYTES  /api/type/TEXT%2FHTML   /api/redirect/N
"""

import base64
import gzip
import json
import threading
import time
import urllib.parse


class Answer:
    """What the server shall send; `act` is one of '', hang, drop, reset."""

    def __init__(self, status, value=None, headers=None, act=''):
        self.status, self.act, self.headers = status, act, dict(headers or {})
        self.body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.headers.setdefault('Content-Type', 'application/json')


class Api:
    def __init__(self, token_seconds=3600):
        self.lock = threading.Lock()
        self.token_seconds = token_seconds
        self.reset()

    def reset(self):
        with self.lock:
            self.items, self.next_id, self.by_key = {}, 1, {}
            self.seen, self.tokens = {}, {}
            self.asked = []  # (method, path), as they came in
            self.slow = {}  # method -> seconds between an effect and its answer

    def handle(self, request):
        """request: method, path, query (dict), headers (lower-case dict), body (bytes), wait(seconds)."""
        words = [urllib.parse.unquote(word) for word in request.path.split('/')[2:]]
        self.asked.append((request.method, request.path))
        method = getattr(self, 'do_' + words[0].replace('-', '_'), None) if words and words[0].isalpha() else None
        if not method:
            return Answer(404, {'error': f'no such path: {request.path}'})
        try:
            answer = method(request, *words[1:])
            request.wait(self.slow.get(request.method, 0))
            return answer
        except (TypeError, ValueError) as error:
            return Answer(400, {'error': str(error)})

    def do_echo(self, request, *_rest):
        try:
            body = json.loads(request.body) if request.body else None
        except ValueError:
            body = request.body.decode('utf-8', 'replace')
        return Answer(
            200,
            {
                'method': request.method,
                'path': request.path,
                'query': request.query,
                'headers': request.headers,
                'body': body,
            },
        )

    def do_status(self, request, status):
        with self.lock:
            where = request.path + '?' + urllib.parse.urlencode(request.query)
            self.seen[where] = self.seen.get(where, 0) + 1
            count = self.seen[where]
        if count > int(request.query.get('times', 1 << 60)):
            return Answer(200, {'ok': True, 'tries': count})
        headers = {'Retry-After': request.query['retry_after']} if 'retry_after' in request.query else {}
        return Answer(int(status), {'error': f'status {status}, as asked', 'tries': count}, headers)

    def do_auth(self, request, kind, *words):
        given = request.headers.get('authorization', '')
        if kind == 'bearer':
            good, challenge = given == 'Bearer ' + words[0], 'Bearer realm="fake"'
        elif kind == 'basic':
            good = given == 'Basic ' + base64.b64encode(':'.join(words[:2]).encode()).decode()
            challenge = 'Basic realm="fake"'
        elif kind == 'key':
            good, challenge = request.headers.get(words[0].lower()) == words[1], 'ApiKey'
        else:
            return Answer(404, {'error': f'unknown kind of auth: {kind}'})
        if good:
            return Answer(200, {'ok': True})
        return Answer(401, {'error': 'unauthorized'}, {'WWW-Authenticate': challenge})

    def do_oauth(self, request, what):
        if what == 'token':
            return self.token(request)
        given = request.headers.get('authorization', '')
        with self.lock:
            good = self.tokens.get(given[7:], 0) > time.monotonic()
        if given.startswith('Bearer ') and good:
            return Answer(200, {'ok': True})
        return Answer(401, {'error': 'invalid_token'}, {'WWW-Authenticate': 'Bearer error="invalid_token"'})

    def token(self, request):
        form = dict(urllib.parse.parse_qsl(request.body.decode('utf-8', 'replace')))
        given = request.headers.get('authorization', '')
        if given.startswith('Basic '):
            user, _, secret = base64.b64decode(given[6:]).decode().partition(':')
            form.setdefault('client_id', user)
            form.setdefault('client_secret', secret)
        if form.get('grant_type') != 'client_credentials':
            return Answer(400, {'error': 'unsupported_grant_type'})
        if (form.get('client_id'), form.get('client_secret')) != ('id', 'secret'):
            return Answer(401, {'error': 'invalid_client'})
        with self.lock:
            token = f'token-{len(self.tokens) + 1}'
            self.tokens[token] = time.monotonic() + self.token_seconds
        return Answer(200, {'access_token': token, 'token_type': 'Bearer', 'expires_in': self.token_seconds})

    def do_items(self, request, which=None):
        with self.lock:
            if which is None and request.method == 'POST':
                return self.create(request)
            if which is None:
                return Answer(200, {'items': [self.items[i] for i in sorted(self.items)]})
            number = int(which)
            if number not in self.items:
                return Answer(404, {'error': f'no item {number}'})
            if request.method == 'DELETE':
                return Answer(200, self.items.pop(number))
            if request.method in ('PUT', 'PATCH'):
                kept = self.items[number] if request.method == 'PATCH' else {}
                self.items[number] = dict(kept, **json.loads(request.body), id=number)
            return Answer(200, self.items[number])

    def create(self, request):
        key = request.headers.get('idempotency-key')
        if key is not None and key in self.by_key:
            return Answer(200, self.by_key[key], {'Idempotent-Replayed': 'true'})
        value = json.loads(request.body or b'{}')
        if not isinstance(value, dict):
            return Answer(400, {'error': 'an item is an object'})
        item = dict(value, id=self.next_id)
        self.items[self.next_id] = item
        self.next_id += 1
        if key is not None:
            self.by_key[key] = item
        return Answer(201, item, {'Location': f"/api/items/{item['id']}"})

    def do_delay(self, request, ms):
        request.wait(int(ms) / 1000)
        return Answer(200, {'ok': True, 'ms': int(ms)})

    def do_hang(self, request):
        return Answer(200, {}, act='hang')

    def do_drop(self, request):
        return Answer(200, {'text': 'x' * 1000}, act='drop')

    def do_reset(self, request):
        return Answer(200, {}, act='reset')

    def do_malformed(self, request):
        return Answer(200, b'{"ok": tru')

    def do_empty(self, request):
        return Answer(200, b'')

    def do_big(self, request, size):
        return Answer(200, b'"' + b'x' * (int(size) - 2) + b'"')

    def do_type(self, request, kind):
        return Answer(200, b'<html><body>not what you asked for</body></html>', {'Content-Type': kind})

    def do_gzip(self, request):
        body = gzip.compress(json.dumps({'ok': True, 'text': 'squeezed ' * 100}).encode())
        return Answer(200, body, {'Content-Encoding': 'gzip'})

    def do_redirect(self, request, count):
        to = f'/api/redirect/{int(count) - 1}' if int(count) > 1 else '/api/echo'
        return Answer(302, {'to': to}, {'Location': to})

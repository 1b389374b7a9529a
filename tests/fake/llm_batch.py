"""Batches as OpenAI (/v1/files, /v1/batches), Anthropic (/v1/messages/batches) and Gemini (models.batchGenerateContent
with inlined requests, /v1beta/batches) take them, for llm_server.py.

Each item is judged and answered like a call of its own: by the script's rules, its faults as the item's failure. The
script's `batch` says how batches go: {"seconds": until it has ended, "lost": so many submissions are carried out
and their answer is lost, "refused": {status, times} of submissions, "away": so many looks fail with 503, "fails":
the whole batch is refused after submission, "page": so many batches
are listed at a time (Gemini), "expired": a regular expression of users' texts whose items are not
come to, "forgotten": the same for items that get no result, "garbled": so many results are cut in the middle}.
Results come in the opposite order of the requests.
"""

import email.parser
import email.policy
import json
import re
import time

import llm_wire

ID = re.compile(r'^[a-zA-Z0-9_-]{1,64}$')


class Bad(Exception):
    def __init__(self, status, message, code=None):
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class Batches:
    def __init__(self):
        self.files, self.batches, self.counts = {}, {}, {}

    def once(self, what, times):
        """True for the first so many."""
        self.counts[what] = self.counts.get(what, 0) + 1
        return self.counts[what] <= times

    def takes(self, handler):
        """Answers the request when it is about batches."""
        path = handler.path_only
        anthropic = re.match(r'^/v1/messages/batches(?:/([^/]+)(/results)?)?$', path)
        openai = re.match(r'^/v1/(files|batches)(?:/([^/]+)(/content)?)?$', path)
        gemini = re.match(r'^/v1beta/(?:models/([^/:]+):batchGenerateContent|batches(?:/([^/]+))?)$', path)
        if not anthropic and not openai and not gemini:
            return False
        service = llm_wire.SERVICES[1 if anthropic else 3 if gemini else 0]
        handler.record['provider'] = service.name + '-batch'
        try:
            service.auth(handler.lower, handler.query, handler.server.script.value.get('keys'))
            if anthropic:
                self.anthropic(handler, service, *anthropic.groups())
            elif gemini:
                self.gemini(handler, service, *gemini.groups())
            else:
                self.openai(handler, service, *openai.groups())
        except llm_wire.Refused as refused:
            handler.send(refused.status, refused.body, refused.headers)
        except Bad as bad:
            if anthropic:
                kind = 'not_found_error' if bad.status == 404 else 'invalid_request_error'
                handler.send(bad.status, {'type': 'error', 'error': {'type': kind, 'message': bad.message}})
            elif gemini:
                handler.send(bad.status, service.error(bad.status, bad.message))
            else:
                error = {'message': bad.message, 'type': 'invalid_request_error', 'param': None, 'code': bad.code}
                handler.send(bad.status, {'error': error})
        return True

    # ---- what both share -------------------------------------------------------------------------
    def habits(self, handler):
        return handler.server.script.value.get('batch', {})

    def submitted(self, handler, service, batch):
        """Stores it and answers, or loses the answer."""
        habits = self.habits(handler)
        refused = habits.get('refused')
        if refused and self.once('refused', refused.get('times', 1)):
            return handler.send(refused['status'], service.trouble(refused['status'], None))
        batch.update(born=time.time(), ends=time.time() + habits.get('seconds', 0.1))
        self.batches[batch['id']] = batch
        handler.record['batch'] = [one['custom_id'] for one in batch['items']]
        handler.record['batch_name'] = batch['id']
        if self.once('lost', habits.get('lost', 0)):
            return handler.break_off(True)
        return handler.send(200, self.view(handler, batch))

    def found(self, handler, name):
        if self.once('away', self.habits(handler).get('away', 0)):
            raise llm_wire.Refused(503, {'error': {'message': 'away', 'type': 'server_error'}})
        batch = self.batches.get(name)
        if not batch:
            raise Bad(404, f'No batch found with id {name!r}.')
        return batch

    def view(self, handler, batch):
        return batch['view'](handler, batch)

    @staticmethod
    def ended(batch):
        return time.time() >= batch['ends']

    def answered(self, handler, service, path, body):
        """(status, body) as the call alone would have had; None: expired, False: no result at all."""
        script, habits = handler.server.script, self.habits(handler)
        try:
            service.check(path, body, script.value)
        except llm_wire.Refused as refused:
            return refused.status, refused.body
        facts = service.facts(path, body, {})
        facts.tokens = llm_wire.tokens_of(facts.system + ''.join(text for _, text in facts.messages))
        for habit, result in (('expired', None), ('forgotten', False)):
            if habits.get(habit) and re.search(habits[habit], facts.user):
                return result
        rule, reply, fault, _ = script.choose(service, path, {}, facts, json.dumps(body))
        if fault:
            status = fault.get('status', 500)
            return status, service.trouble(status, None)
        number = handler.record['n']
        return 200, service.whole(facts, handler.server.reply_of(reply, None, facts, number), body)

    def lines(self, handler, values):
        out = []
        for value in reversed(values):
            line = json.dumps(value, ensure_ascii=False)
            cut = self.once('garbled', self.habits(handler).get('garbled', 0))
            out.append(line[: len(line) // 2] if cut else line)
        handler.send(200, ''.join(line + '\n' for line in out).encode(), {'Content-Type': 'application/jsonl'})

    @staticmethod
    def check_ids(items):
        seen = set()
        for item in items:
            name = item.get('custom_id')
            if not isinstance(name, str) or not ID.match(name):
                raise Bad(400, f'custom_id {name!r} is not 1 to 64 of a-z A-Z 0-9 _ -')
            if name in seen:
                raise Bad(400, f'custom_id {name!r} is there twice', 'duplicate_custom_id')
            seen.add(name)

    # ---- OpenAI ----------------------------------------------------------------------------------
    def openai(self, handler, service, what, name, content):
        verb = (handler.command, what, bool(name), bool(content))
        if verb == ('POST', 'files', False, False):
            return self.upload(handler)
        if verb == ('GET', 'files', True, True):
            if name not in self.files:
                raise Bad(404, f'No such File object: {name}')
            return self.lines(handler, self.files[name]) if isinstance(self.files[name], list) else None
        if verb == ('POST', 'batches', False, False):
            return self.create(handler, service)
        if verb == ('GET', 'batches', True, False):
            return handler.send(200, self.view(handler, self.found(handler, name)))
        if verb == ('GET', 'batches', False, False):
            newest = list(self.batches.values())[::-1][: int(handler.query.get('limit', 20))]
            return handler.send(200, {'object': 'list', 'data': [self.view(handler, one) for one in newest]})
        raise Bad(405, 'Method not allowed')

    def upload(self, handler):
        kind = handler.lower.get('content-type', '')
        if not kind.startswith('multipart/form-data; boundary='):
            raise Bad(400, f"'{kind}' is not multipart/form-data")
        head = f'Content-Type: {kind}\r\n\r\n'.encode()
        form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + handler.body)
        parts = {part.get_param('name', header='content-disposition'): part for part in form.iter_parts()}
        if parts['purpose'].get_payload(decode=True).strip() != b'batch':
            raise Bad(400, 'purpose is not batch')
        if not parts['file'].get_filename():
            raise Bad(400, 'the file has no name')
        text = parts['file'].get_payload(decode=True).decode()
        name = llm_wire.new_id('file-')
        self.files[name] = text
        size = len(text.encode())
        handler.send(200, {'id': name, 'object': 'file', 'bytes': size, 'purpose': 'batch', 'status': 'processed'})

    def create(self, handler, service):
        body = json.loads(handler.body)
        if set(body) - {'input_file_id', 'endpoint', 'completion_window', 'metadata'}:
            raise Bad(400, f'unknown keys: {sorted(body)}')
        if body.get('endpoint') != '/v1/chat/completions' or body.get('completion_window') != '24h':
            raise Bad(400, 'endpoint and completion_window are needed')
        if body.get('input_file_id') not in self.files:
            raise Bad(400, f'no such file: {body.get("input_file_id")}')
        items = [json.loads(line) for line in self.files[body['input_file_id']].split('\n') if line]
        for item in items:
            if set(item) != {'custom_id', 'method', 'url', 'body'} or item['method'] != 'POST':
                raise Bad(400, f'a line of the file is not a request: {sorted(item)}')
            if item['url'] != body['endpoint'] or item['body'].get('stream'):
                raise Bad(400, f'a line of the file is for {item["url"]}, or asks for a stream')
        self.check_ids(items)
        batch = {'id': llm_wire.new_id('batch_'), 'input': body['input_file_id'], 'items': items}
        batch.update(view=self.openai_view, service=service)
        return self.submitted(handler, service, batch)

    def openai_view(self, handler, batch):
        value = {
            'id': batch['id'],
            'object': 'batch',
            'endpoint': '/v1/chat/completions',
            'errors': None,
            'input_file_id': batch['input'],
            'completion_window': '24h',
            'status': 'in_progress',
            'output_file_id': None,
            'error_file_id': None,
            'created_at': int(batch['born']),
            'request_counts': {'total': len(batch['items']), 'completed': 0, 'failed': 0},
        }
        if self.habits(handler).get('fails'):
            errors = [{'code': 'invalid_json_line', 'message': 'This line is not parseable.', 'line': 1}]
            value.update(status='failed', errors={'object': 'list', 'data': errors})
        elif self.ended(batch):
            self.openai_end(handler, batch)
            value.update(status=batch['status'], output_file_id=batch['output'], error_file_id=batch['error'])
        return value

    def openai_end(self, handler, batch):
        if 'status' in batch:
            return
        good, bad = [], []
        for item in batch['items']:
            result = self.answered(handler, batch['service'], '/v1/chat/completions', item['body'])
            line = {'id': llm_wire.new_id('batch_req_'), 'custom_id': item['custom_id']}
            line.update(response=None, error=None)
            if result is False:
                continue
            if result is None:
                line['error'] = {'code': 'batch_expired', 'message': 'This request could not be executed in time.'}
            else:
                response = {'status_code': result[0], 'request_id': llm_wire.new_id('req_'), 'body': result[1]}
                line['response'] = response
            (good if result and result[0] == 200 else bad).append(line)
        batch.update(status='expired' if any(one['error'] for one in bad) else 'completed', output=None, error=None)
        for key, lines in (('output', good), ('error', bad)):
            if lines:
                batch[key] = llm_wire.new_id('file-')
                self.files[batch[key]] = lines

    # ---- Anthropic -------------------------------------------------------------------------------
    def anthropic(self, handler, service, name, results):
        if handler.command == 'POST' and not name:
            body = json.loads(handler.body)
            items = body.get('requests')
            if set(body) != {'requests'} or not isinstance(items, list) or not items:
                raise Bad(400, 'requests: Field required')
            for item in items:
                if set(item) != {'custom_id', 'params'} or item['params'].get('stream'):
                    raise Bad(400, f'requests: an item has {sorted(item)}')
            self.check_ids(items)
            batch = {'id': llm_wire.new_id('msgbatch_'), 'items': items, 'view': self.anthropic_view}
            return self.submitted(handler, service, batch)
        if handler.command != 'GET' or not name:
            raise Bad(405, 'Method not allowed')
        batch = self.found(handler, name)
        if not results:
            return handler.send(200, self.view(handler, batch))
        if not self.ended(batch):
            raise Bad(404, f'{name} has no available results.')
        lines = []
        for item in batch['items']:
            result = self.answered(handler, service, '/v1/messages', item['params'])
            if result is False:
                continue
            if result is None:
                value = {'type': 'expired'}
            elif result[0] == 200:
                value = {'type': 'succeeded', 'message': result[1]}
            else:
                value = {'type': 'errored', 'error': result[1]}
            lines.append({'custom_id': item['custom_id'], 'result': value})
        return self.lines(handler, lines)

    def anthropic_view(self, handler, batch):
        done = self.ended(batch)
        n = len(batch['items'])
        counts = {'processing': 0 if done else n, 'succeeded': n if done else 0, 'errored': 0, 'canceled': 0}
        elsewhere = f'https://elsewhere.example/v1/messages/batches/{batch["id"]}/results'
        return {
            'id': batch['id'],
            'type': 'message_batch',
            'processing_status': 'ended' if done else 'in_progress',
            'request_counts': dict(counts, expired=0),
            'ended_at': '2026-01-01T00:00:00Z' if done else None,
            'created_at': '2026-01-01T00:00:00Z',
            'expires_at': '2026-01-02T00:00:00Z',
            'archived_at': None,
            'cancel_initiated_at': None,
            'results_url': elsewhere if done else None,
        }

    # ---- Gemini ----------------------------------------------------------------------------------
    GEMINI_BYTES = 20 << 20

    def gemini(self, handler, service, model, name):
        if handler.command == 'POST' and model:
            return self.submitted(handler, service, self.gemini_take(handler, service, model))
        if handler.command != 'GET' or model:
            raise Bad(405, 'Method not allowed')
        if name:
            return handler.send(200, self.view(handler, self.found(handler, name)))
        listed, size = list(self.batches.values()), self.habits(handler).get('page', 1000)
        at = int(handler.query.get('pageToken', 0))
        answer = {'operations': [self.gemini_head(one) for one in listed[at : at + size]]}
        if at + size < len(listed):
            answer['nextPageToken'] = str(at + size)
        handler.send(200, answer)

    def gemini_take(self, handler, service, model):
        if len(handler.body) > self.GEMINI_BYTES:
            raise Bad(400, 'Request payload size exceeds the limit: 20971520 bytes.')
        body = json.loads(handler.body)
        batch = service.camel_keys(body.get('batch'))
        if set(body) != {'batch'} or not isinstance(batch, dict) or set(batch) != {'displayName', 'inputConfig'}:
            raise Bad(400, 'batch.displayName and batch.inputConfig are required')
        source = service.camel_keys(batch['inputConfig'])
        requests = source['requests'].get('requests') if set(source) == {'requests'} else None
        if not isinstance(requests, list) or not requests:
            raise Bad(400, 'batch.inputConfig.requests.requests is required')
        items = []
        for one in requests:
            if set(one) != {'request', 'metadata'} or set(one['metadata']) != {'key'}:
                raise Bad(400, f'an inlined request has {sorted(one)}')
            items.append({'custom_id': one['metadata']['key'], 'body': one['request']})
        self.check_ids(items)
        name = llm_wire.new_id('b').replace('_', '')
        return {
            'id': name,
            'items': items,
            'model': model,
            'title': batch['displayName'],
            'service': service,
            'view': self.gemini_view,
        }

    @staticmethod
    def gemini_head(batch, state='BATCH_STATE_RUNNING'):
        return {
            'name': f'batches/{batch["id"]}',
            'metadata': {
                '@type': 'type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch',
                'model': f'models/{batch["model"]}',
                'displayName': batch['title'],
                'state': state,
                'name': f'batches/{batch["id"]}',
                'batchStats': {'requestCount': str(len(batch['items']))},
            },
        }

    def gemini_view(self, handler, batch):
        """An Operation; its response is the output of the batch."""
        if self.habits(handler).get('fails'):
            error = {'code': 13, 'message': 'This batch cannot be worked on.'}
            return dict(self.gemini_head(batch, 'BATCH_STATE_FAILED'), done=True, error=error)
        if not self.ended(batch):
            return self.gemini_head(batch)
        if 'output' not in batch:
            path = f'/v1beta/models/{batch["model"]}:generateContent'
            results = []
            for item in batch['items']:
                result = self.answered(handler, batch['service'], path, item['body'])
                metadata = {'metadata': {'key': item['custom_id']}}
                if result is None:
                    results.append(dict(metadata, error={'code': 4, 'message': 'The deadline expired.'}))
                elif result and result[0] == 200:
                    results.append(dict(metadata, response=result[1]))
                elif result:
                    results.append(dict(metadata, error=result[1]['error']))
            for _ in results:
                if self.once('garbled', self.habits(handler).get('garbled', 0)):
                    results[0] = {'metadata': 7, 'response': []}
            inlined = {'inlinedResponses': {'inlinedResponses': results}}
            batch['output'] = inlined
        head = dict(self.gemini_head(batch, 'BATCH_STATE_SUCCEEDED'), done=True, response=batch['output'])
        head['metadata']['output'] = batch['output']
        return head

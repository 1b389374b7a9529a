"""The wire formats of four model services: what each demands of a request and how it answers.

One class a service. `check` judges a parsed request as strictly as the service does and raises
Refused with the service's own status and error body; `facts` reduces it to what rules match on;
`whole` and `pieces` render a reply. Nothing here knows of sockets or scripts.
"""

import itertools
import json
import re
import time

NAME = re.compile(r'^[a-zA-Z0-9_-]{1,64}$')
COUNTER = itertools.count(1)


class Refused(Exception):
    """The service's answer to a request it does not accept."""

    def __init__(self, status, body, headers=None):
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


def cut(text, size):
    return [text[i : i + size] for i in range(0, len(text), size)]


def unknown_keys(body, known):
    return [key for key in body if key not in known]


def tokens_of(value):
    """About four letters a token, as all the services' rules of thumb say."""
    return max(1, len(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) // 4)


def new_id(prefix):
    return f'{prefix}{next(COUNTER):06d}'


def text_of(content):
    """The text of a message's content in any of the forms the services have."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ''
    return ''.join(
        part.get('text', '') for part in content if isinstance(part, dict) and isinstance(part.get('text', ''), str)
    )


class Facts:
    """What a rule can ask about a request."""

    def __init__(self, model, stream, system, messages, tools):
        self.model, self.stream, self.system = model, stream, system
        self.messages = messages  # (role, text): role is user, assistant or tool
        self.tools = tools  # names of the tools offered
        self.tokens = 0

    @property
    def user(self):
        return next((text for role, text in reversed(self.messages) if role == 'user' and text), '')

    @property
    def tool_results(self):
        """Results since the assistant last spoke: what this request brings along."""
        tail = itertools.takewhile(lambda message: message[0] == 'tool', reversed(self.messages))
        return [text for _, text in tail][::-1]

    @property
    def turns(self):
        return sum(1 for role, _ in self.messages if role == 'assistant')


class OpenAI:
    name = 'openai'
    stream_type = 'text/event-stream'
    PATH = re.compile(r'/chat/completions$')
    KNOWN = set('''model messages audio frequency_penalty function_call functions logit_bias logprobs
        max_completion_tokens max_tokens metadata modalities n parallel_tool_calls prediction
        presence_penalty prompt_cache_key prompt_cache_retention reasoning_effort response_format
        safety_identifier seed service_tier stop store stream stream_options temperature tool_choice
        tools top_logprobs top_p user verbosity web_search_options'''.split())
    ROLES = ('system', 'developer', 'user', 'assistant', 'tool', 'function')
    REASONING = re.compile(r'^(o\d|gpt-5)')

    @staticmethod
    def error(status, message, code=None, param=None, kind=None):
        kinds = {401: 'invalid_request_error', 429: 'requests', 500: 'server_error', 503: 'server_error'}
        kind = kind or kinds.get(status, 'invalid_request_error')
        return {'error': {'message': message, 'type': kind, 'param': param, 'code': code}}

    def bad(self, message, code=None, param=None):
        return Refused(400, self.error(400, message, code, param))

    def auth(self, headers, query, keys):
        given = headers.get('authorization') or ''
        if not given.startswith('Bearer ') or not given[7:].strip():
            raise Refused(401, self.error(401, 'You didn\'t provide an API key.'))
        if keys and given[7:] not in keys:
            raise Refused(401, self.error(401, 'Incorrect API key provided.', 'invalid_api_key'))

    def model_missing(self, model):
        return Refused(
            404,
            self.error(
                404, f'The model `{model}` does not exist or you do not have access to it.', 'model_not_found'
            ),
        )

    def too_long(self, used, limit):
        return Refused(
            400,
            self.error(
                400,
                f"This model's maximum context length is {limit} tokens. However, your "
                f'messages resulted in {used} tokens. Please reduce the length of the messages.',
                'context_length_exceeded',
                'messages',
            ),
        )

    def malformed(self):
        return Refused(400, self.error(400, 'We could not parse the JSON body of your request.'))

    def trouble(self, status, after_ms):
        texts = {
            429: ('Rate limit reached for requests', 'rate_limit_exceeded'),
            401: ('Incorrect API key provided.', 'invalid_api_key'),
            403: ('Project does not have access to this model.', 'model_not_found'),
            500: ('The server had an error while processing your request.', None),
            503: ('The engine is currently overloaded, please try again later.', None),
        }
        return self.error(status, *texts.get(status, (f'status {status}', None)))

    def check(self, path, body, _script):
        extra = unknown_keys(body, self.KNOWN)
        if extra:
            raise self.bad(f"Unknown parameter: '{extra[0]}'.", 'unknown_parameter', extra[0])
        if not isinstance(body.get('model'), str) or not body['model']:
            raise self.bad('you must provide a model parameter')
        if not isinstance(body.get('messages'), list):
            raise self.bad("Missing required parameter: 'messages'.", 'missing_required_parameter', 'messages')
        if not body['messages']:
            raise self.bad(
                "Invalid 'messages': empty array. Expected an array with minimum length 1.", 'empty_array', 'messages'
            )
        self.check_numbers(body)
        self.check_tools(body)
        self.check_messages(body['messages'])
        self.check_format(body)

    def check_numbers(self, body):
        if 'stream_options' in body and not body.get('stream'):
            raise self.bad(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.", None, 'stream_options'
            )
        for key, low, high in (
            ('temperature', 0, 2),
            ('top_p', 0, 1),
            ('presence_penalty', -2, 2),
            ('frequency_penalty', -2, 2),
        ):
            value = body.get(key)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise self.bad(f"Invalid type for '{key}': expected a decimal.", 'invalid_type', key)
            if not low <= value <= high:
                raise self.bad(
                    f"Invalid '{key}': expected a value between {low} and {high}.", 'decimal_out_of_range', key
                )
        for key in ('max_tokens', 'max_completion_tokens', 'n'):
            value = body.get(key)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise self.bad(f"Invalid '{key}': expected an integer of at least 1.", 'integer_below_min_value', key)
        if 'max_tokens' in body and self.REASONING.match(body['model']):
            raise self.bad(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.",
                'unsupported_parameter',
                'max_tokens',
            )

    def check_tools(self, body):
        tools = body.get('tools')
        if 'tool_choice' in body and not tools:
            raise self.bad(
                "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
                None,
                'tool_choice',
            )
        if tools is None:
            return
        if not isinstance(tools, list) or not tools:
            raise self.bad(
                "Invalid 'tools': empty array. Expected an array with minimum length 1.", 'empty_array', 'tools'
            )
        for i, tool in enumerate(tools):
            function = tool.get('function') if isinstance(tool, dict) else None
            if not isinstance(function, dict) or tool.get('type') != 'function':
                raise self.bad(
                    f"Missing required parameter: 'tools[{i}].function'.",
                    'missing_required_parameter',
                    f'tools[{i}].function',
                )
            if not NAME.match(str(function.get('name', ''))):
                raise self.bad(
                    f"Invalid 'tools[{i}].function.name': string does not match pattern.",
                    'invalid_value',
                    f'tools[{i}].function.name',
                )
            shape = function.get('parameters', {})
            if not isinstance(shape, dict) or shape.get('type', 'object') != 'object':
                raise self.bad(
                    f"Invalid schema for function '{function['name']}': schema must have type 'object'.",
                    'invalid_function_parameters',
                    f'tools[{i}].function.parameters',
                )

    def check_messages(self, messages):
        open_calls = []
        for i, message in enumerate(messages):
            role = message.get('role') if isinstance(message, dict) else None
            if role not in self.ROLES:
                raise self.bad(
                    f"Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', "
                    "'function', 'tool', and 'developer'.",
                    'invalid_value',
                    f'messages[{i}].role',
                )
            if role == 'tool':
                if message.get('tool_call_id') not in open_calls:
                    raise self.bad(
                        "Invalid parameter: messages with role 'tool' must be a response to a preceeding "
                        "message with 'tool_calls'.",
                        None,
                        f'messages.[{i}].role',
                    )
                open_calls.remove(message['tool_call_id'])
            elif open_calls:
                raise self.unanswered(open_calls, i)
            self.check_content(i, role, message)
            for j, call in enumerate(message.get('tool_calls') or []):
                open_calls.append(self.check_call(f'messages[{i}].tool_calls[{j}]', call))
        if open_calls:
            raise self.unanswered(open_calls, len(messages))

    def unanswered(self, calls, i):
        return self.bad(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: " + ', '.join(calls),
            None,
            f'messages.[{i}].role',
        )

    def check_call(self, where, call):
        function = call.get('function') if isinstance(call, dict) else None
        if not isinstance(function, dict) or call.get('type') != 'function' or not isinstance(call.get('id'), str):
            raise self.bad(f"Missing required parameter: '{where}.type'.", 'missing_required_parameter', where)
        if not NAME.match(str(function.get('name', ''))) or not isinstance(function.get('arguments'), str):
            raise self.bad(
                f"Invalid type for '{where}.function.arguments': expected a string.",
                'invalid_type',
                f'{where}.function.arguments',
            )
        return call['id']

    def check_content(self, i, role, message):
        content, where = message.get('content'), f'messages.[{i}].content'
        if content is None:
            if role == 'assistant' and (message.get('tool_calls') or message.get('refusal')):
                return
            raise self.bad("Invalid value for 'content': expected a string, got null.", None, where)
        if isinstance(content, list):
            for part in content:
                if not isinstance(part, dict) or 'type' not in part:
                    raise self.bad("Missing required parameter: 'type'.", 'missing_required_parameter', where)
        elif not isinstance(content, str):
            raise self.bad("Invalid type for 'content': expected a string or an array.", 'invalid_type', where)

    def check_format(self, body):
        shape = body.get('response_format')
        if shape is None:
            return
        kind = shape.get('type') if isinstance(shape, dict) else None
        if kind not in ('text', 'json_object', 'json_schema'):
            raise self.bad(f"Invalid value: '{kind}'.", 'invalid_value', 'response_format.type')
        if kind == 'json_schema' and not NAME.match(str((shape.get('json_schema') or {}).get('name', ''))):
            raise self.bad(
                "Missing required parameter: 'response_format.json_schema.name'.",
                'missing_required_parameter',
                'response_format.json_schema.name',
            )
        if kind == 'json_object' and 'json' not in json.dumps(body['messages']).lower():
            raise self.bad(
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
                "'json_object'.",
                None,
                'messages',
            )

    def facts(self, path, body, _query):
        messages, system = [], []
        for message in body['messages']:
            role, text = message['role'], text_of(message.get('content'))
            if role in ('system', 'developer'):
                system.append(text)
            else:
                messages.append(('tool' if role == 'function' else role, text))
        tools = [tool['function']['name'] for tool in body.get('tools') or []]
        return Facts(body['model'], bool(body.get('stream')), '\n'.join(system), messages, tools)

    @staticmethod
    def usage(reply):
        return {
            'prompt_tokens': reply['input'],
            'completion_tokens': reply['output'],
            'total_tokens': reply['input'] + reply['output'],
            'prompt_tokens_details': {'cached_tokens': reply['cached'], 'audio_tokens': 0},
            'completion_tokens_details': {'reasoning_tokens': reply['reasoning'], 'audio_tokens': 0},
        }

    @staticmethod
    def calls(reply):
        return [
            {'id': call['id'], 'type': 'function', 'function': {'name': call['name'], 'arguments': call['raw']}}
            for call in reply['calls']
        ]

    def frame(self, kind, facts):
        return {
            'id': new_id('chatcmpl-'),
            'object': kind,
            'created': int(time.time()),
            'model': facts.model,
            'service_tier': 'default',
            'system_fingerprint': 'fp_fake',
        }

    @staticmethod
    def finish(reply):
        return reply['finish'] or ('tool_calls' if reply['calls'] else 'stop')

    def whole(self, facts, reply, body):
        message = {
            'role': 'assistant',
            'content': reply['text'] or (None if reply['calls'] else ''),
            'refusal': None,
            'annotations': [],
        }
        if reply['calls']:
            message['tool_calls'] = self.calls(reply)
        answer = self.frame('chat.completion', facts)
        answer['choices'] = [{'index': 0, 'message': message, 'logprobs': None, 'finish_reason': self.finish(reply)}]
        if reply['usage']:
            answer['usage'] = self.usage(reply)
        return answer

    def pieces(self, facts, reply, body, size):
        frame = self.frame('chat.completion.chunk', facts)
        with_usage = (body.get('stream_options') or {}).get('include_usage')

        def chunk(delta, finish=None):
            out = dict(frame, choices=[{'index': 0, 'delta': delta, 'logprobs': None, 'finish_reason': finish}])
            return sse(None, dict(out, usage=None) if with_usage else out)

        yield chunk(
            {'role': 'assistant', 'content': None if reply['calls'] and not reply['text'] else '', 'refusal': None}
        )
        for part in cut(reply['text'], size):
            yield chunk({'content': part})
        for i, call in enumerate(self.calls(reply)):
            raw = call['function']['arguments']
            call['function']['arguments'] = ''
            yield chunk({'tool_calls': [dict(index=i, **call)]})
            for part in cut(raw, size):
                yield chunk({'tool_calls': [{'index': i, 'function': {'arguments': part}}]})
        yield chunk({}, self.finish(reply))
        if with_usage and reply['usage']:
            yield sse(None, dict(frame, choices=[], usage=self.usage(reply)))
        yield b'data: [DONE]\n\n'

    def late_error(self):
        return sse(None, self.error(500, 'The server had an error while processing your request.'))


class Anthropic:
    name = 'anthropic'
    stream_type = 'text/event-stream; charset=utf-8'
    PATH = re.compile(r'/v1/messages$')
    KNOWN = set('''model messages max_tokens container context_management inference_geo mcp_servers metadata
        output_config output_format service_tier speed stop_sequences stream system temperature thinking
        tool_choice tools top_k top_p cache_control'''.split())
    TYPES = {
        400: 'invalid_request_error',
        401: 'authentication_error',
        403: 'permission_error',
        404: 'not_found_error',
        413: 'request_too_large',
        429: 'rate_limit_error',
        500: 'api_error',
        504: 'timeout_error',
        529: 'overloaded_error',
    }

    def error(self, status, message):
        return {
            'type': 'error',
            'error': {'type': self.TYPES.get(status, 'api_error'), 'message': message},
            'request_id': new_id('req_'),
        }

    def bad(self, message):
        return Refused(400, self.error(400, message))

    def auth(self, headers, query, keys):
        bearer = headers.get('authorization') or ''
        key = headers.get('x-api-key') or (bearer[7:] if bearer.startswith('Bearer ') else '')
        if not key:
            raise Refused(401, self.error(401, 'x-api-key header is required'))
        if keys and key not in keys:
            raise Refused(401, self.error(401, 'invalid x-api-key'))
        if not headers.get('anthropic-version'):
            raise self.bad('anthropic-version: header is required')
        if not re.match(r'^20\d\d-\d\d-\d\d$', headers['anthropic-version']):
            raise self.bad(f"anthropic-version: \"{headers['anthropic-version']}\" is not a valid version")

    def model_missing(self, model):
        return Refused(404, self.error(404, f'model: {model}'))

    def too_long(self, used, limit):
        return self.bad(f'prompt is too long: {used} tokens > {limit} maximum')

    def malformed(self):
        return self.bad('The request body is not valid JSON')

    def trouble(self, status, after_ms):
        texts = {
            429: 'This request would exceed your rate limit.',
            529: 'Overloaded',
            500: 'Internal server error',
            401: 'invalid x-api-key',
        }
        return self.error(status, texts.get(status, f'status {status}'))

    def check(self, path, body, script):
        for key in ('model', 'max_tokens', 'messages'):
            if key not in body:
                raise self.bad(f'{key}: Field required')
        extra = unknown_keys(body, self.KNOWN)
        if extra:
            raise self.bad(f'{extra[0]}: Extra inputs are not permitted')
        most = body['max_tokens']
        if isinstance(most, bool) or not isinstance(most, int):
            raise self.bad('max_tokens: Input should be a valid integer')
        if most < 1:
            raise self.bad('max_tokens: must be greater than or equal to 1')
        warm = body.get('temperature')
        if warm is not None and not (isinstance(warm, (int, float)) and 0 <= warm <= 1):
            raise self.bad('temperature: range: 0..1')
        if not isinstance(body['model'], str) or not body['model']:
            raise self.bad('model: String should have at least 1 character')
        if not isinstance(body['messages'], list) or not body['messages']:
            raise self.bad('messages: at least one message is required')
        if not isinstance(body.get('system', ''), (str, list)):
            raise self.bad('system: Input should be a valid list')
        self.check_tools(body)
        self.check_roles(body['messages'], script)
        self.check_blocks(body['messages'])

    def check_tools(self, body):
        for i, tool in enumerate(body.get('tools') or []):
            if 'type' in tool and tool['type'] != 'custom':
                continue  # the service's own tools have other fields
            if not NAME.match(str(tool.get('name', ''))):
                raise self.bad(f'tools.{i}.custom.name: String should match pattern \'^[a-zA-Z0-9_-]{{1,64}}$\'')
            if not isinstance(tool.get('input_schema'), dict):
                raise self.bad(f'tools.{i}.custom.input_schema: Field required')
            if tool['input_schema'].get('type') != 'object':
                raise self.bad(f'tools.{i}.custom.input_schema.type: Input should be \'object\'')
        choice = body.get('tool_choice')
        if choice is not None and (
            not isinstance(choice, dict) or choice.get('type') not in ('auto', 'any', 'tool', 'none')
        ):
            raise self.bad('tool_choice: Input tag does not match any of the expected tags: auto, any, tool, none')
        if choice is not None and not body.get('tools'):
            raise self.bad('tool_choice: may only be specified while providing tools')

    def check_roles(self, messages, script):
        before = None
        for i, message in enumerate(messages):
            role = message.get('role') if isinstance(message, dict) else None
            if role == 'system':
                raise self.bad(f'messages.{i}: unexpected role "system": use the top-level `system` parameter')
            if role not in ('user', 'assistant'):
                raise self.bad(f"messages.{i}.role: Input should be 'user' or 'assistant'")
            extra = unknown_keys(message, ('role', 'content'))
            if extra:
                raise self.bad(f'messages.{i}.{extra[0]}: Extra inputs are not permitted')
            if i == 0 and role != 'user':
                raise self.bad('messages: first message must use the "user" role')
            if role == before and script.get('strict_roles', True):
                raise self.bad(
                    f'messages: roles must alternate between "user" and "assistant", but found multiple '
                    f'"{role}" roles in a row'
                )
            before = role

    def check_blocks(self, messages):
        wanted = []
        for i, message in enumerate(messages):
            content = message.get('content')
            if isinstance(content, str):
                content = [{'type': 'text', 'text': content}]
            if not isinstance(content, list):
                raise self.bad(f'messages.{i}.content: Input should be a valid list')
            if not content and i < len(messages) - 1:
                raise self.bad(
                    f'messages.{i}: all messages must have non-empty content except for the optional final '
                    'assistant message'
                )
            given = []
            for j, block in enumerate(content):
                self.check_block(f'messages.{i}.content.{j}', message['role'], block)
                if block['type'] == 'tool_result':
                    if block['tool_use_id'] not in wanted:
                        raise self.bad(
                            f'messages.{i}.content.{j}: unexpected `tool_use_id` found in `tool_result` '
                            f"blocks: {block['tool_use_id']}. Each `tool_result` block must have a "
                            'corresponding `tool_use` block in the previous message.'
                        )
                    if j != len(given):
                        raise self.bad(f'messages.{i}.content.{j}: `tool_result` blocks must come first')
                    given.append(block['tool_use_id'])
            missing = [one for one in wanted if one not in given]
            if missing:
                raise self.unanswered(i - 1, missing)
            wanted = [block['id'] for block in content if block['type'] == 'tool_use']
        if wanted:
            raise self.unanswered(len(messages) - 1, wanted)
        last = messages[-1]
        if last['role'] == 'assistant' and text_of(last['content']) != text_of(last['content']).rstrip():
            raise self.bad('messages: final assistant content cannot end with trailing whitespace')

    def unanswered(self, i, ids):
        return self.bad(
            f'messages.{i}: `tool_use` ids were found without `tool_result` blocks immediately after: '
            f"{', '.join(ids)}. Each `tool_use` block must have a corresponding `tool_result` block in "
            'the next message.'
        )

    def check_block(self, where, role, block):
        kind = block.get('type') if isinstance(block, dict) else None
        if kind == 'text':
            if not isinstance(block.get('text'), str) or not block['text']:
                raise self.bad(f'{where}: text content blocks must be non-empty')
        elif kind == 'tool_use':
            if (
                role != 'assistant'
                or not isinstance(block.get('input'), dict)
                or not NAME.match(str(block.get('name', '')))
                or not isinstance(block.get('id'), str)
            ):
                raise self.bad(f'{where}.tool_use.input: Input should be a valid dictionary')
            if not re.match(r'^[a-zA-Z0-9_-]+$', block['id']):
                raise self.bad(f"{where}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        elif kind == 'tool_result':
            if role != 'user' or not isinstance(block.get('tool_use_id'), str):
                raise self.bad(f'{where}.tool_result.tool_use_id: Field required')
            if not isinstance(block.get('content', ''), (str, list)):
                raise self.bad(f'{where}.tool_result.content: Input should be a valid list')
        elif kind not in ('image', 'document', 'thinking', 'redacted_thinking', 'search_result'):
            raise self.bad(f"{where}: Input tag '{kind}' found using 'type' does not match any of the expected tags")

    def facts(self, path, body, _query):
        messages = []
        for message in body['messages']:
            content = message['content']
            if isinstance(content, str):
                messages.append((message['role'], content))
                continue
            if message['role'] == 'assistant':
                messages.append(('assistant', text_of(content)))
                continue
            messages.extend(
                ('tool', text_of(block.get('content'))) for block in content if block['type'] == 'tool_result'
            )
            text = text_of([block for block in content if block['type'] == 'text'])
            if text:
                messages.append(('user', text))
        tools = [tool['name'] for tool in body.get('tools') or []]
        return Facts(body['model'], bool(body.get('stream')), text_of(body.get('system') or ''), messages, tools)

    @staticmethod
    def usage(reply):
        return {
            'input_tokens': reply['input'] - reply['cached'],
            'cache_creation_input_tokens': 0,
            'cache_read_input_tokens': reply['cached'],
            'output_tokens': reply['output'],
            'service_tier': 'standard',
        }

    @staticmethod
    def finish(reply):
        names = {'length': 'max_tokens', 'stop': 'end_turn', 'tool_calls': 'tool_use', 'content_filter': 'refusal'}
        return names.get(reply['finish'], reply['finish']) or ('tool_use' if reply['calls'] else 'end_turn')

    @staticmethod
    def blocks(reply):
        out = []
        if reply['thinking']:
            out.append({'type': 'thinking', 'thinking': reply['thinking'], 'signature': 'c2lnbmVk'})
        if reply['text'] or not (reply['calls'] or out):
            out.append({'type': 'text', 'text': reply['text']})
        out.extend(
            {'type': 'tool_use', 'id': call['id'], 'name': call['name'], 'input': call['arguments']}
            for call in reply['calls']
        )
        return out

    def whole(self, facts, reply, body):
        answer = {
            'id': new_id('msg_'),
            'type': 'message',
            'role': 'assistant',
            'model': facts.model,
            'content': self.blocks(reply),
            'stop_reason': self.finish(reply),
            'stop_sequence': None,
        }
        if reply['usage']:
            answer['usage'] = self.usage(reply)
        return answer

    def pieces(self, facts, reply, body, size):
        start = dict(self.whole(facts, reply, body), content=[], stop_reason=None)
        if reply['usage']:
            start['usage'] = dict(start['usage'], output_tokens=1)
        yield sse('message_start', {'type': 'message_start', 'message': start})
        raws = iter([call['raw'] for call in reply['calls']])
        for i, block in enumerate(self.blocks(reply)):
            empty = {'thinking': {'thinking': '', 'signature': ''}, 'text': {'text': ''}, 'tool_use': {'input': {}}}[
                block['type']
            ]
            yield sse(
                'content_block_start',
                {'type': 'content_block_start', 'index': i, 'content_block': dict(block, **empty)},
            )
            if i == 0:
                yield sse('ping', {'type': 'ping'})
            for delta in self.deltas(block, raws, size):
                yield sse('content_block_delta', {'type': 'content_block_delta', 'index': i, 'delta': delta})
            yield sse('content_block_stop', {'type': 'content_block_stop', 'index': i})
        end = {'type': 'message_delta', 'delta': {'stop_reason': self.finish(reply), 'stop_sequence': None}}
        if reply['usage']:
            end['usage'] = {'output_tokens': reply['output']}
        yield sse('message_delta', end)
        yield sse('message_stop', {'type': 'message_stop'})

    @staticmethod
    def deltas(block, raws, size):
        if block['type'] == 'text':
            return [{'type': 'text_delta', 'text': part} for part in cut(block['text'], size)]
        if block['type'] == 'thinking':
            return [{'type': 'thinking_delta', 'thinking': part} for part in cut(block['thinking'], size)] + [
                {'type': 'signature_delta', 'signature': block['signature']}
            ]
        parts = [''] + cut(next(raws), size)
        return [{'type': 'input_json_delta', 'partial_json': part} for part in parts]

    def late_error(self):
        return sse('error', self.error(529, 'Overloaded'))


class Ollama:
    name = 'ollama'
    stream_type = 'application/x-ndjson'
    PATH = re.compile(r'/api/chat$')
    ROLES = ('system', 'user', 'assistant', 'tool')

    @staticmethod
    def error(status, message):
        return {'error': message}

    def bad(self, message):
        return Refused(400, self.error(400, message))

    def auth(self, headers, query, keys):
        """A local server asks for nothing."""

    def model_missing(self, model):
        return Refused(404, self.error(404, f"model '{model}' not found"))

    def too_long(self, used, limit):
        return self.bad('the input length exceeds the context length')

    def malformed(self):
        return self.bad("invalid character at the beginning of value")

    def trouble(self, status, after_ms):
        texts = {
            500: 'llama runner process has terminated',
            503: 'server busy, please try again.  maximum pending ' 'requests exceeded',
            429: 'too many requests',
            401: 'unauthorized',
        }
        return self.error(status, texts.get(status, f'status {status}'))

    def check(self, path, body, _script):
        """Unknown parameters are ignored: so does the real one."""
        if not isinstance(body.get('model'), str) or not body['model']:
            raise self.bad('model is required')
        messages = body.get('messages') or []
        if not isinstance(messages, list):
            raise self.bad('json: cannot unmarshal object into Go struct field ChatRequest.messages')
        for message in messages:
            if not isinstance(message, dict) or message.get('role') not in self.ROLES:
                raise self.bad(f"invalid role: {message.get('role') if isinstance(message, dict) else message!r}")
            if not isinstance(message.get('content', ''), str):
                raise self.bad(
                    'json: cannot unmarshal array into Go struct field ChatRequest.messages.content of ' 'type string'
                )
            for call in message.get('tool_calls') or []:
                if not isinstance((call.get('function') or {}).get('arguments'), dict):
                    raise self.bad(
                        'json: cannot unmarshal string into Go struct field '
                        'ChatRequest.messages.tool_calls.function.arguments'
                    )
        for tool in body.get('tools') or []:
            if not isinstance((tool.get('function') or {}).get('name'), str):
                raise self.bad('json: cannot unmarshal into Go struct field ChatRequest.tools.function')

    def facts(self, path, body, _query):
        messages, system = [], []
        for message in body.get('messages') or []:
            if message['role'] == 'system':
                system.append(message.get('content', ''))
            else:
                messages.append((message['role'], message.get('content', '')))
        tools = [tool['function']['name'] for tool in body.get('tools') or []]
        return Facts(body['model'], body.get('stream') is not False, '\n'.join(system), messages, tools)

    @staticmethod
    def stamp():
        now = time.time()
        return time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now)) + f'.{int(now % 1 * 1e6):06d}Z'

    def line(self, facts, message, done=False):
        return {
            'model': facts.model,
            'created_at': self.stamp(),
            'message': dict({'role': 'assistant'}, **message),
            'done': done,
        }

    @staticmethod
    def end(reply):
        names = {'tool_calls': 'stop'}
        out = {
            'done_reason': names.get(reply['finish'], reply['finish']) or 'stop',
            'total_duration': 52000000,
            'load_duration': 1000000,
        }
        if reply['usage']:
            out.update(
                prompt_eval_count=reply['input'],
                prompt_eval_duration=11000000,
                eval_count=reply['output'],
                eval_duration=40000000,
            )
        return out

    @staticmethod
    def calls(reply):
        return [{'function': {'name': call['name'], 'arguments': call['arguments']}} for call in reply['calls']]

    def whole(self, facts, reply, body):
        if not body.get('messages'):
            return dict(self.line(facts, {'content': ''}, True), done_reason='load')
        message = {'content': reply['text']}
        if reply['thinking']:
            message['thinking'] = reply['thinking']
        if reply['calls']:
            message['tool_calls'] = self.calls(reply)
        return dict(self.line(facts, message, True), **self.end(reply))

    def pieces(self, facts, reply, body, size):
        def line(value):
            return json.dumps(value, ensure_ascii=False).encode() + b'\n'

        for part in cut(reply['thinking'], size):
            yield line(self.line(facts, {'content': '', 'thinking': part}))
        for part in cut(reply['text'], size):
            yield line(self.line(facts, {'content': part}))
        for call in self.calls(reply):
            yield line(self.line(facts, {'content': '', 'tool_calls': [call]}))
        yield line(dict(self.line(facts, {'content': ''}, True), **self.end(reply)))

    def late_error(self):
        return json.dumps(self.error(500, 'an error was encountered while running the model')).encode() + b'\n'


class Gemini:
    name = 'gemini'
    stream_type = 'text/event-stream'
    PATH = re.compile(r'/models/([^/:]+):(generateContent|streamGenerateContent)$')
    KNOWN = {
        'contents',
        'systemInstruction',
        'tools',
        'toolConfig',
        'safetySettings',
        'generationConfig',
        'cachedContent',
        'model',
        'store',
        'serviceTier',
    }
    CONFIG = set('''stopSequences responseMimeType responseSchema _responseJsonSchema responseJsonSchema
        responseModalities candidateCount maxOutputTokens temperature topP topK seed presencePenalty
        frequencyPenalty responseLogprobs logprobs enableEnhancedCivicAnswers speechConfig thinkingConfig
        imageConfig mediaResolution responseFormat'''.split())
    PARTS = (
        'text',
        'inlineData',
        'functionCall',
        'functionResponse',
        'fileData',
        'executableCode',
        'codeExecutionResult',
    )
    STATUS = {
        400: 'INVALID_ARGUMENT',
        401: 'UNAUTHENTICATED',
        403: 'PERMISSION_DENIED',
        404: 'NOT_FOUND',
        429: 'RESOURCE_EXHAUSTED',
        500: 'INTERNAL',
        503: 'UNAVAILABLE',
        504: 'DEADLINE_EXCEEDED',
    }

    def error(self, status, message, details=None):
        error = {'code': status, 'message': message, 'status': self.STATUS.get(status, 'UNKNOWN')}
        if details:
            error['details'] = details
        return {'error': error}

    def bad(self, message, field=None):
        details = (
            [
                {
                    '@type': 'type.googleapis.com/google.rpc.BadRequest',
                    'fieldViolations': [{'field': field, 'description': message}],
                }
            ]
            if field is not None
            else None
        )
        return Refused(400, self.error(400, message, details))

    def auth(self, headers, query, keys):
        key = headers.get('x-goog-api-key') or query.get('key')
        if not key:
            raise Refused(
                403,
                self.error(
                    403,
                    "Method doesn't allow unregistered callers. Please use API Key or other "
                    'form of API consumer identity to call this API.',
                ),
            )
        if keys and key not in keys:
            raise Refused(
                400,
                self.error(
                    400,
                    'API key not valid. Please pass a valid API key.',
                    [
                        {
                            '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
                            'reason': 'API_KEY_INVALID',
                            'domain': 'googleapis.com',
                        }
                    ],
                ),
            )

    def model_missing(self, model):
        return Refused(
            404,
            self.error(
                404,
                f'models/{model} is not found for API version v1beta, or is not supported ' 'for generateContent.',
            ),
        )

    def too_long(self, used, limit):
        return self.bad(f'The input token count ({used}) exceeds the maximum number of tokens allowed ({limit}).')

    def malformed(self):
        return self.bad('Invalid JSON payload received. Unexpected end of string.')

    def trouble(self, status, after_ms):
        texts = {
            429: 'You exceeded your current quota.',
            503: 'The model is overloaded. Please try again later.',
            500: 'An internal error has occurred.',
            401: 'Request had invalid authentication credentials.',
        }
        details = None
        if status == 429 and after_ms is not None:
            details = [{'@type': 'type.googleapis.com/google.rpc.RetryInfo', 'retryDelay': f'{after_ms / 1000:g}s'}]
        return self.error(status, texts.get(status, f'status {status}'), details)

    @staticmethod
    def camel(key):
        return re.sub(r'(?<=\w)_(\w)', lambda m: m.group(1).upper(), key)

    def camel_keys(self, value):
        """Both spellings of a field are the same to protocol buffers; schemas and arguments are data."""
        return {self.camel(key): inner for key, inner in value.items()} if isinstance(value, dict) else value

    def unknown(self, name, where):
        return self.bad(
            f'Invalid JSON payload received. Unknown name "{name}"'
            + (f" at '{where}'" if where else '')
            + ': Cannot find field.',
            where,
        )

    def check(self, path, body, _script):
        for key in body:
            if self.camel(key) not in self.KNOWN:
                raise self.unknown(key, '')
        body = self.camel_keys(body)
        for key in body.get('generationConfig') or {}:
            if self.camel(key) not in self.CONFIG:
                raise self.unknown(key, 'generation_config')
        contents = body.get('contents')
        if not isinstance(contents, list) or not contents:
            raise self.bad('* GenerateContentRequest.contents: contents is not specified\n')
        for i, tool in enumerate(body.get('tools') or []):
            for function in self.camel_keys(tool).get('functionDeclarations') or []:
                if not re.match(r'^[a-zA-Z_][\w.:-]{0,127}$', str(function.get('name', ''))):
                    raise self.bad(
                        f'* GenerateContentRequest.tools[{i}].function_declarations[0].name: Invalid '
                        'function name.'
                    )
        self.check_contents(contents)

    def check_contents(self, contents):
        asked, before = 0, None
        for i, content in enumerate(contents):
            role = content.get('role', 'user') if isinstance(content, dict) else None
            if role not in ('user', 'model', 'function'):
                raise self.bad('Please use a valid role: user, model.')
            parts = content.get('parts')
            if not isinstance(parts, list) or not parts:
                raise self.bad(f'* GenerateContentRequest.contents[{i}].parts: contents.parts must not be empty.')
            parts = [self.camel_keys(part) for part in parts]
            for j, part in enumerate(parts):
                if sum(key in part for key in self.PARTS) != 1:
                    raise self.bad(
                        f'* GenerateContentRequest.contents[{i}].parts[{j}].data: required oneof field '
                        "'data' must have one initialized field"
                    )
            answered = sum('functionResponse' in part for part in parts)
            calls = sum('functionCall' in part for part in parts)
            if answered != asked:
                raise self.bad(
                    'Please ensure that the number of function response parts is equal to the number of '
                    'function call parts of the function call turn.'
                )
            if calls and (role != 'model' or before not in ('user', 'function')):
                raise self.bad(
                    'Please ensure that function call turn comes immediately after a user turn or after a '
                    'function response turn.'
                )
            asked, before = calls, role
        if asked:
            raise self.bad('Please ensure that function response turn comes immediately after a function call turn.')

    def facts(self, path, body, query):
        body, match = self.camel_keys(body), self.PATH.search(path)
        messages = []
        for content in body['contents']:
            parts = [self.camel_keys(part) for part in content['parts']]
            messages.extend(
                ('tool', json.dumps(part['functionResponse'].get('response'), ensure_ascii=False))
                for part in parts
                if 'functionResponse' in part
            )
            text = ''.join(part['text'] for part in parts if isinstance(part.get('text'), str))
            if content.get('role') == 'model':
                messages.append(('assistant', text))
            elif text:
                messages.append(('user', text))
        tools = [
            function['name']
            for tool in body.get('tools') or []
            for function in self.camel_keys(tool).get('functionDeclarations') or []
        ]
        system = text_of((body.get('systemInstruction') or {}).get('parts') or '')
        return Facts(match.group(1), match.group(2) == 'streamGenerateContent', system, messages, tools)

    @staticmethod
    def usage(reply):
        out = {
            'promptTokenCount': reply['input'],
            'candidatesTokenCount': reply['output'],
            'totalTokenCount': reply['input'] + reply['output'] + reply['reasoning'],
        }
        if reply['cached']:
            out['cachedContentTokenCount'] = reply['cached']
        if reply['reasoning']:
            out['thoughtsTokenCount'] = reply['reasoning']
        return out

    @staticmethod
    def finish(reply):
        names = {'stop': 'STOP', 'length': 'MAX_TOKENS', 'content_filter': 'SAFETY', 'tool_calls': 'STOP'}
        return names.get(reply['finish'], reply['finish']) or 'STOP'

    def answer(self, facts, reply, parts, finish):
        candidate = {'content': {'parts': parts, 'role': 'model'}, 'index': 0}
        if finish:
            candidate['finishReason'] = finish
        out = {'candidates': [candidate], 'modelVersion': facts.model, 'responseId': new_id('r')}
        if reply['usage']:
            out['usageMetadata'] = self.usage(reply)
        return out

    @staticmethod
    def calls(reply):
        return [{'functionCall': {'name': call['name'], 'args': call['arguments']}} for call in reply['calls']]

    def whole(self, facts, reply, body):
        parts = [{'text': reply['thinking'], 'thought': True}] if reply['thinking'] else []
        if reply['text'] or not reply['calls']:
            parts.append({'text': reply['text']})
        return self.answer(facts, reply, parts + self.calls(reply), self.finish(reply))

    def pieces(self, facts, reply, body, size):
        """As server-sent events; the server turns them into one array when alt=sse was not asked for."""
        parts = [[{'text': part, 'thought': True}] for part in cut(reply['thinking'], size)]
        parts += [[{'text': part}] for part in cut(reply['text'], size)]
        parts += [[call] for call in self.calls(reply)] or ([] if parts else [[{'text': ''}]])
        for i, one in enumerate(parts):
            yield sse(None, self.answer(facts, reply, one, self.finish(reply) if i == len(parts) - 1 else None))

    def late_error(self):
        return sse(None, self.error(503, 'The model is overloaded. Please try again later.'))


def sse(event, value):
    head = f'event: {event}\n' if event else ''
    return f'{head}data: {json.dumps(value, ensure_ascii=False)}\n\n'.encode()


SERVICES = [OpenAI(), Anthropic(), Ollama(), Gemini()]


def service_of(path):
    return next((service for service in SERVICES if service.PATH.search(path)), None)

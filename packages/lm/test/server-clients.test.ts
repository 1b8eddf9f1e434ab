/** Requests of clients of OpenAI's API and of similar servers, such as evaluation harnesses. */
import type { Backend } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type LanguageModel, loadModel } from '../src/index.ts';
import { type LanguageModelServer, type ServeOptions, serve } from '../src/server/index.ts';
import { collect, FIXTURES, loadWith } from './helpers.ts';

const TEMPLATE =
  "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";

let backend: Backend;
let lm: LanguageModel;
let chatty: LanguageModel;
const servers: LanguageModelServer[] = [];

beforeAll(async () => {
  backend = await cpu().create();
  lm = await loadModel(backend, `${FIXTURES}/kjv-mamba`);
  chatty = await loadWith('chat_template.jinja', TEMPLATE);
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

afterAll(async () => {
  lm.dispose();
  await backend.dispose();
  await chatty.model.backend.dispose();
});

type Post = (path: string, body: object) => Promise<{ status: number; json: Answer }>;

interface Choice {
  readonly index: number;
  readonly text: string;
  readonly finish_reason: string | null;
  readonly message: { readonly content: string };
  readonly logprobs: {
    readonly tokens: string[];
    readonly token_logprobs: (number | null)[];
    readonly top_logprobs: (Record<string, number> | null)[];
    readonly text_offset: number[];
  };
}

interface Answer {
  readonly choices: Choice[];
  readonly usage: Record<string, number>;
  readonly error: { readonly message: string; readonly param: string; readonly code: string };
}

const startServer = (model: LanguageModel, options: ServeOptions = {}): Promise<LanguageModelServer> =>
  serve(model, { port: 0, graceMs: 0, name: 'kjv', ...options });

/** Starts a server that is closed after the test. */
async function start(model: LanguageModel, options: ServeOptions = {}): Promise<Post> {
  const server = await startServer(model, options);
  servers.push(server);
  return poster(server);
}

function poster(server: LanguageModelServer): Post {
  return async (path, body) => {
    const headers = { 'Content-Type': 'application/json' };
    const response = await fetch(`${server.url}/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: response.status, json: (await response.json()) as Answer };
  };
}

const completion = { model: 'kjv', prompt: 'And God said', max_tokens: 6, temperature: 0 };
const chat = { model: 'kjv', messages: [{ role: 'user', content: 'Who art thou?' }], max_tokens: 6, temperature: 0 };
const everywhere: readonly (readonly [string, unknown])[] = [
  ...[null, 1].map((value) => ['n', value] as const),
  ...[null, '', [], ['']].map((value) => ['stop', value] as const),
  ...[null, 0, -1].map((value) => ['top_k', value] as const),
  ...[null, {}, []].map((value) => ['logit_bias', value] as const),
  ...[null, {}, [], { run: '1' }].map((value) => ['metadata', value] as const),
  ...[null, '', 'somebody'].map((value) => ['user', value] as const),
  ...[null, false, true].map((value) => ['store', value] as const),
  ...[null, false].map((value) => ['stream', value] as const),
  ...[null, 'auto'].map((value) => ['service_tier', value] as const),
  ...[null, 1, 7].map((value) => ['seed', value] as const),
  ...[null, 1].map((value) => ['top_p', value] as const),
  ...[null, 0].flatMap((value) =>
    ['min_p', 'presence_penalty', 'frequency_penalty'].map((name) => [name, value] as const),
  ),
  ...[null, 1].flatMap((value) =>
    ['typical_p', 'repetition_penalty', 'best_of', 'length_penalty'].map((name) => [name, value] as const),
  ),
  ...[null, false].flatMap((value) =>
    ['ignore_eos', 'echo', 'logprobs', 'use_beam_search'].map((name) => [name, value] as const),
  ),
  ...[null, ''].map((value) => ['suffix', value] as const),
  ...[null, []].map((value) => ['stop_token_ids', value] as const),
  ...[null, true].flatMap((value) =>
    ['skip_special_tokens', 'spaces_between_special_tokens', 'cache_prompt'].map((name) => [name, value] as const),
  ),
  ...[null, 0].flatMap((value) => ['min_tokens', 'mirostat', 'priority'].map((name) => [name, value] as const)),
  ['stream_options', null],
  ['model', null],
  ['guided_json', null],
  ['a_field_that_nobody_knows', null],
];
const inChats: readonly (readonly [string, unknown])[] = [
  ...[null, []].flatMap((value) => ['tools', 'functions'].map((name) => [name, value] as const)),
  ...[null, 'none', 'auto'].flatMap((value) => ['tool_choice', 'function_call'].map((name) => [name, value] as const)),
  ...[null, true, false].map((value) => ['parallel_tool_calls', value] as const),
  ...[null, { type: 'text' }].map((value) => ['response_format', value] as const),
  ...[null, ['text']].map((value) => ['modalities', value] as const),
  ...[null, 0].map((value) => ['top_logprobs', value] as const),
  ...['audio', 'prediction', 'reasoning_effort', 'verbosity', 'web_search_options'].map(
    (name) => [name, null] as const,
  ),
  ['max_completion_tokens', null],
  [
    'messages',
    [
      {
        ...chat.messages[0],
        name: null,
        tool_calls: [],
        refusal: null,
        function_call: null,
        audio: null,
        annotations: [],
      },
    ],
  ],
];

describe('a value that requests nothing changes nothing', () => {
  let server: LanguageModelServer;
  let post: Post;
  const plain = new Map<string, Answer>();
  const bodies = [
    ['/completions', completion],
    ['/chat/completions', chat],
  ] as const;
  beforeAll(async () => {
    server = await startServer(chatty);
    post = poster(server);
    for (const [path, body] of bodies) plain.set(path, (await post(path, body)).json);
  });
  afterAll(() => server.close());

  it.each(everywhere)('%s: %j', async (name, value) => {
    for (const [path, body] of bodies) {
      const { status, json } = await post(path, { ...body, [name]: value });
      expect(status, JSON.stringify(json)).toBe(200);
      expect(json.choices).toEqual(plain.get(path)!.choices);
    }
  });

  it.each(inChats)('%s: %j in a chat', async (name, value) => {
    const { status, json } = await post('/chat/completions', { ...chat, [name]: value });
    expect(status, JSON.stringify(json)).toBe(200);
    expect(json.choices).toEqual(plain.get('/chat/completions')!.choices);
  });

  it('max_tokens -1 requests as many tokens as allowed', async () => {
    const post = await start(chatty, { maxTokens: 9 });
    const bias = { 0: -100 };
    for (const [path, body] of [
      ['/completions', { ...completion, max_tokens: -1, logit_bias: bias }],
      ['/chat/completions', { ...chat, max_tokens: -1, logit_bias: bias }],
      ['/chat/completions', { ...chat, max_tokens: null, max_completion_tokens: -1, logit_bias: bias }],
    ] as const)
      expect((await post(path, body)).json.usage.completion_tokens).toBe(9);
  });
});

describe('a value that requests an unsupported feature is refused by name', () => {
  it.each<[string, unknown]>([
    ...[
      ['ignore_eos', true],
      ['suffix', 'end'],
      ['stop_token_ids', [5]],
      ['min_tokens', 3],
      ['use_beam_search', true],
    ],
    ...[
      ['best_of', 2],
      ['top_k', -2],
      ['max_tokens', -2],
      ['stop', ['x'.repeat(1001)]],
      ['guided_json', { type: 'object' }],
    ],
    ...[
      ['skip_special_tokens', false],
      ['length_penalty', 2],
      ['mirostat', 2],
      ['grammar', 'root ::= "a"'],
      ['repeat_penalty', 1.1],
    ],
    ...[
      ['nobody_knows', 0],
      ['logprobs', true],
      ['stream_options', { include_usage: true }],
      ['prompt_logprobs', 1],
    ],
  ] as [string, unknown][])('%s: %j', async (name, value) => {
    const post = await start(lm);
    const { status, json } = await post('/completions', { ...completion, [name]: value });
    expect(status).toBe(400);
    expect(json.error.param).toMatch(new RegExp(`^${name}`));
    expect(json.error.message).toContain(name);
  });

  it.each<[string, unknown]>([
    ...[
      ['tools', [{ type: 'function', function: { name: 'f' } }]],
      ['tool_choice', 'required'],
      ['functions', [{ name: 'f' }]],
    ],
    ...[
      ['response_format', { type: 'json_object' }],
      ['modalities', ['audio']],
      ['top_logprobs', 2],
      ['echo', true],
    ],
    ...[
      ['reasoning_effort', 'high'],
      ['audio', { voice: 'x' }],
      ['continue_final_message', true],
      ['max_tokens', 0],
    ],
  ] as [string, unknown][])('%s: %j in a chat', async (name, value) => {
    const { status, json } = await (await start(chatty))('/chat/completions', { ...chat, [name]: value });
    expect(status).toBe(400);
    expect(json.error.param).toMatch(new RegExp(`^${name}`));
  });

  it.each<[string, object]>([
    [
      'messages.0.tool_calls',
      { tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }] },
    ],
    ['messages.0.name', { name: 'Eve' }],
    ['messages.0.content.0.type', { content: [{ type: 'image_url', image_url: { url: 'data:' } }] }],
  ])('%s, which the template does not use', async (param, fields) => {
    const post = await start(chatty);
    const { status, json } = await post('/chat/completions', {
      ...chat,
      messages: [{ ...chat.messages[0], ...fields }],
    });
    expect(status).toBe(400);
    expect(json.error.param).toMatch(/^messages/);
    if (!param.includes('content')) expect(json.error.param).toBe(param);
  });
});

/**
 * Requests of `local-completions` of lm-evaluation-harness, which reads from the answer the sum of log-probabilities,
 * and whether each token is the likeliest.
 */
describe('lm-evaluation-harness', () => {
  const pairs = [
    ['And God said, Let there be', ' light'],
    ['In the beginning God created', ' the heaven and the earth'],
    ['And the', ' zebra of'],
  ] as const;
  const request = { model: 'kjv', temperature: 0, max_tokens: 1, logprobs: 1, seed: 1234, echo: true };

  async function expected(
    context: string,
    continuation: string,
  ): Promise<{ sum: number; greedy: boolean; ids: number[] }> {
    const [before, ids] = [lm.encode(context).length, lm.encode(context + continuation)];
    const { logProbs } = await lm.score(ids);
    let greedy = true;
    for (let at = before; at < ids.length; at++) {
      const [next] = await collect(lm.generate({ prompt: ids.slice(0, at), maxTokens: 1 }));
      greedy &&= next!.id === ids[at];
    }
    return { sum: logProbs.slice(before - 1).reduce((total, value) => total + value, 0), greedy, ids };
  }

  function parsed({ logprobs }: Choice, contextLength: number, after: number): { sum: number; greedy: boolean } {
    const end = logprobs.token_logprobs.length - after;
    const values = logprobs.token_logprobs.slice(contextLength, end) as number[];
    const tops = logprobs.top_logprobs.slice(contextLength, end) as Record<string, number>[];
    const greedy = values.every((value, index) => value === Math.max(...Object.values(tops[index]!)));
    return { sum: values.reduce((total, value) => total + value, 0), greedy };
  }

  it.each([
    ['ids, in one batch', true, true],
    ['ids, one by one', true, false],
    ['texts, in one batch', false, true],
  ])('scores %s', async (_, tokenized, together) => {
    const post = await start(lm);
    const wanted = await Promise.all(pairs.map(([context, continuation]) => expected(context, continuation)));
    const prompts = pairs.map((pair, index) => (tokenized ? wanted[index]!.ids : pair.join('')));
    const answers = together
      ? (await post('/completions', { ...request, prompt: prompts })).json.choices
      : await Promise.all(
          prompts.map(async (prompt) => (await post('/completions', { ...request, prompt })).json.choices[0]!),
        );
    for (const [index, { sum, greedy, ids }] of wanted.entries()) {
      const context = lm.encode(pairs[index]![0]).length;
      const told = parsed(answers[index]!, context, 1);
      expect(told.sum).toBeCloseTo(sum, 3);
      expect(told.greedy).toBe(greedy);
      const { tokens, token_logprobs: values, text_offset: offsets } = answers[index]!.logprobs;
      expect(tokens).toHaveLength(ids.length + 1);
      expect(values[0]).toBeNull();
      expect(answers[index]!.text).toBe(tokens.join(''));
      expect(offsets).toEqual(tokens.map((_, at) => tokens.slice(0, at).join('').length));
    }
    expect(wanted.map(({ greedy }) => greedy)).toEqual([expect.any(Boolean), expect.any(Boolean), false]);
  });

  it('scores with max_tokens: 0, in a stream, with more of the likeliest, and from the cache', async () => {
    const post = await start(lm);
    const { sum, ids } = await expected(...pairs[0]);
    for (const prompt of [ids, ids]) {
      const { json } = await post('/completions', { ...request, prompt, max_tokens: 0, logprobs: 5 });
      const [choice] = json.choices;
      expect(choice).toMatchObject({ text: pairs[0].join(''), finish_reason: 'length' });
      expect(parsed(choice!, lm.encode(pairs[0][0]).length, 0).sum).toBeCloseTo(sum, 3);
      expect(Object.keys(choice!.logprobs.top_logprobs[1]!)).toHaveLength(5);
      expect(json.usage).toEqual({ prompt_tokens: ids.length, completion_tokens: 0, total_tokens: ids.length });
    }
    const [single] = (await post('/completions', { ...request, prompt: [5], max_tokens: 0 })).json.choices;
    expect(single!.logprobs.token_logprobs).toEqual([null]);
    const client = new OpenAI({ baseURL: `${servers[0]!.url}/v1`, apiKey: 'none' });
    for (const max_tokens of [0, 3]) {
      const fields = { ...request, prompt: ids, max_tokens };
      const whole = (await client.completions.create(fields)).choices[0]!;
      const chunks = await collect(await client.completions.create({ ...fields, stream: true }));
      expect(chunks.map(({ choices }) => choices[0]!.text).join('')).toBe(whole.text);
      const told = chunks.flatMap(({ choices }) => choices[0]!.logprobs?.token_logprobs ?? []);
      expect(told).toEqual(whole.logprobs!.token_logprobs);
      expect(chunks.at(-1)!.choices[0]!.finish_reason).toBe('length');
    }
  });

  it('is refused too many log-probabilities at once', async () => {
    const post = await start(chatty);
    const prompt = Array(20_000).fill(5);
    const { status, json } = await post('/completions', { ...request, prompt, logprobs: 20, max_tokens: 0 });
    expect({ status, param: json.error.param }).toEqual({ status: 400, param: 'logprobs' });
    expect(json.error.message).toContain('420000 log-probabilities in one answer');
    const many = { ...chat, logprobs: true, top_logprobs: 20, n: 8, max_tokens: 4000 };
    expect((await post('/chat/completions', many)).json.error.param).toBe('top_logprobs');
    // The remedy works.
    const fewer = await post('/completions', { ...request, prompt: Array(500).fill(5), logprobs: 20, max_tokens: 0 });
    expect(fewer.json.choices[0]!.logprobs.tokens).toHaveLength(500);
    const leaving = new AbortController();
    const response = await fetch(`${servers[0]!.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ ...many, stream: true }),
      signal: leaving.signal,
    });
    expect(response.status).toBe(200);
    leaving.abort();
  });

  it('generates until its stop strings', async () => {
    const post = await start(lm);
    const { seed, temperature, model } = request;
    const generate = { model, temperature, seed, prompt: [lm.encode(pairs[0][0])], max_tokens: 20 };
    const free = (await post('/completions', generate)).json.choices[0]!.text;
    const stop = ['\n\n', free.slice(4, 7), '<|endoftext|>'];
    const { text, finish_reason } = (await post('/completions', { ...generate, stop })).json.choices[0]!;
    expect({ text, finish_reason }).toEqual({ text: free.slice(0, free.indexOf(stop[1]!)), finish_reason: 'stop' });
  });

  it('gets an echo without log-probabilities', async () => {
    const post = await start(lm);
    const plain = (await post('/completions', completion)).json.choices[0]!.text;
    const { json } = await post('/completions', { ...completion, echo: true, n: 2 });
    for (const { text, logprobs } of json.choices)
      expect({ text, logprobs }).toEqual({ text: `And God said${plain}`, logprobs: null });
    const nothing = await post('/completions', { ...completion, max_tokens: 0 });
    expect(nothing).toMatchObject({ status: 400, json: { error: { param: 'max_tokens' } } });
  });
});

describe('log-probabilities', () => {
  it('name tokens by their text, with the space before a word', async () => {
    const words = ['▁And', '▁God', '▁said', 's', '<0xC3>', '<0xA9>', '▁'];
    const vocab = Object.fromEntries(['<s>', ...words].map((token, id) => [token, id]));
    const model = { type: 'BPE', vocab, merges: [], unk_token: '<s>', byte_fallback: true };
    const added = [{ id: 0, content: '<s>', special: true, normalized: false }];
    const mark = { type: 'Replace', pattern: { String: '▁' }, content: ' ' };
    const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 };
    const sequence = { type: 'Sequence', decoders: [mark, { type: 'ByteFallback' }, { type: 'Fuse' }, strip] };
    for (const decoder of [{ type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' }, sequence]) {
      const json = { normalizer: null, pre_tokenizer: null, post_processor: null, added_tokens: added, decoder, model };
      const changed = await loadWith('tokenizer.json', JSON.stringify(json));
      const post = await start(changed);
      const fields = { ...completion, prompt: [1, 2, 3, 4], max_tokens: 2, logit_bias: { 2: 100 }, logprobs: 1 };
      const echoed = (await post('/completions', { ...fields, echo: true })).json.choices[0]!;
      expect(echoed.logprobs.tokens).toEqual(['And', ' God', ' said', 's', ' God', ' God']);
      expect(echoed.logprobs.tokens.join('')).toBe(echoed.text);
      expect(echoed.logprobs.text_offset).toEqual([0, 3, 7, 12, 13, 17]);
      const plain = (await post('/completions', fields)).json.choices[0]!;
      expect(plain.logprobs.tokens).toEqual([' God', ' God']);
      await changed.model.backend.dispose();
    }
  });
});

describe('embeddings', () => {
  it('are the last hidden state, of length 1, as numbers or base64', async () => {
    await start(lm);
    const client = new OpenAI({ baseURL: `${servers[0]!.url}/v1`, apiKey: 'none' });
    const texts = ['And God said', 'In the beginning'];
    const expected = await Promise.all(texts.map(async (text) => (await lm.hiddenStates(text)).values[0]!));
    const units = expected.map((vector) => Array.from(vector, (value) => value / Math.hypot(...vector)));
    for (const input of [texts, texts.map((text) => lm.encode(text))])
      for (const encoding_format of ['float', 'base64', undefined] as const) {
        const { data, usage } = await client.embeddings.create({
          ...{ model: 'kjv', input, dimensions: lm.config.dModel, user: 'somebody' },
          ...(encoding_format && { encoding_format }),
        });
        expect(data.map(({ index }) => index)).toEqual([0, 1]);
        for (const [index, { embedding }] of data.entries()) {
          const bytes = Buffer.from(embedding as unknown as string, 'base64');
          const values =
            encoding_format === 'base64' ? units[index]!.map((_, at) => bytes.readFloatLE(at * 4)) : embedding;
          for (const [at, value] of values.entries()) expect(value).toBeCloseTo(units[index]![at]!, 4);
        }
        expect(usage.prompt_tokens).toBe(lm.encode(texts[0]!).length + lm.encode(texts[1]!).length);
      }
  });

  it.each<[string, object]>([
    ['dimensions', { dimensions: 3 }],
    ['input', { input: [] }],
    ['input', { input: [1_000_000] }],
    ['encoding_format', { encoding_format: 'hex' }],
    ['dims', { dims: 3 }],
  ])('refuse a wrong %s', async (param, fields) => {
    const { status, json } = await (await start(lm))('/embeddings', { model: 'kjv', input: 'x', ...fields });
    expect(status).toBe(400);
    expect(json.error.param).toBe(param);
  });
});

describe('prompts', () => {
  it('have limits of characters and tokens for a whole request', async () => {
    const post = await start(chatty, { maxPromptChars: 100, maxPromptTokens: 20 });
    const long = { role: 'user', content: 'x'.repeat(101) };
    const cases: [string, string, object][] = [
      ['prompt', '/completions', { ...completion, prompt: 'x'.repeat(101) }],
      ['prompt', '/completions', { ...completion, prompt: ['x'.repeat(60), 'x'.repeat(60)] }],
      ['prompt', '/completions', { ...completion, prompt: 'a1b2'.repeat(20) }],
      ['prompt', '/completions', { ...completion, prompt: Array(21).fill(5) }],
      ['prompt', '/completions', { ...completion, prompt: Array(3).fill(Array(7).fill(5)) }],
      ['messages', '/chat/completions', { ...chat, messages: [long] }],
      ['messages', '/chat/completions', { ...chat, messages: Array(9).fill({ role: 'user', content: 'x y z' }) }],
      ['input', '/embeddings', { model: 'kjv', input: 'x'.repeat(101) }],
      ['input', '/embeddings', { model: 'kjv', input: Array(21).fill(5) }],
    ];
    for (const [param, path, body] of cases) {
      const { status, json } = await post(path, body);
      expect(status, JSON.stringify(body)).toBe(400);
      expect(json.error).toMatchObject({ param, code: 'context_length_exceeded' });
    }
    expect((await post('/completions', { ...completion, prompt: Array(20).fill(5) })).status).toBe(200);
  });

  it('have the same ids if they are encoded in a worker', async () => {
    const post = await start(chatty);
    const long = 'And God said, Let there be light: and there was light. '.repeat(60);
    for (const [prompt, fields] of [
      [long, {}],
      [long.repeat(8), {}],
      [`${long}<|endoftext|>`, {}],
      [`${long}<|endoftext|>`, { split_special_tokens: true }],
      ['And <|endoftext|>', { split_special_tokens: true }],
    ] as const) {
      const splitSpecialTokens = 'split_special_tokens' in fields;
      const ids = chatty.tokenizer!.encode(prompt, { addSpecialTokens: false, splitSpecialTokens });
      const { json } = await post('/completions', { ...completion, ...fields, prompt });
      expect(json.usage.prompt_tokens).toBe(ids.length);
      const given = await post('/completions', { ...completion, prompt: ids });
      expect(json.choices).toEqual(given.json.choices);
    }
    const messages = [{ role: 'user', content: 'And <|endoftext|>' }];
    for (const split of [false, true]) {
      const { json } = await post('/chat/completions', { ...chat, messages, split_special_tokens: split });
      expect(json.usage.prompt_tokens).toBe(chatty.encodeChat(messages, { splitSpecialTokens: split }).length);
    }
    const always = await start(chatty, { splitSpecialTokens: true });
    const { json } = await always('/chat/completions', { ...chat, messages });
    expect(json.usage.prompt_tokens).toBe(chatty.encodeChat(messages, { splitSpecialTokens: true }).length);
  });
});

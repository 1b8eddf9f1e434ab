import { readFile } from 'node:fs/promises';
import {
  bytesSource,
  type CheckpointStore,
  checkpointStore,
  memorySink,
  openCheckpoint,
  writeGguf,
} from '@mamba/checkpoint';
import { cpu } from '@mamba/cpu';
import { describe, expect, it } from 'vitest';
import { ChatTemplate, loadModel, openTokenizer, Tokenizer } from '../src/index.ts';
import { collect, expectError, FIXTURES } from './helpers.ts';

/** ChatML, with a check of roles as many templates have. */
const CHATML = `{{ bos_token }}{% for message in messages %}
{%- if message.role not in ['system', 'user', 'assistant'] %}{{ raise_exception('unknown role ' + message.role) }}{% endif %}
<|im_start|>{{ message.role }}
{{ message.content | trim }}<|im_end|>
{% endfor %}
{% if add_generation_prompt %}
<|im_start|>assistant
{% endif %}`;

const messages = [
  { role: 'system', content: ' Be brief. ' },
  { role: 'user', content: 'Who art thou?' },
];
/** The output of Jinja2 3.1.6 for Python, with trim_blocks and lstrip_blocks as transformers sets them. */
const RENDERED = `<s><|im_start|>system
Be brief.<|im_end|>
<|im_start|>user
Who art thou?<|im_end|>
`;

/** A checkpoint's folder with some files replaced. */
function storeWith(files: Readonly<Record<string, string>>): CheckpointStore {
  const folder = checkpointStore(`${FIXTURES}/kjv-mamba`);
  return {
    name: folder.name,
    open: async (file) =>
      files[file] === undefined ? folder.open(file) : bytesSource(new TextEncoder().encode(files[file]), file),
  };
}

describe('chat templates', () => {
  it('format the conversation as Jinja does with trim_blocks and lstrip_blocks', () => {
    const template = new ChatTemplate(CHATML, { bos_token: '<s>' });
    expect(template.render(messages, { addGenerationPrompt: false })).toBe(RENDERED);
    expect(template.render(messages)).toBe(`${RENDERED}<|im_start|>assistant\n`);
    const withTools = new ChatTemplate('{{ tools | length }}{{ messages[0].name }}');
    expect(withTools.render([{ ...messages[0]!, name: 'Eve' }], { variables: { tools: [1, 2] } })).toBe('2Eve');
  });

  it('are found in the config, by name, and in a separate file', async () => {
    const json = JSON.parse(await readFile(`${FIXTURES}/kjv-mamba/tokenizer.json`, 'utf8')) as object;
    const render = (config: object) => new Tokenizer(json, config).chatTemplate!.render(messages);
    const one = 'one {{ eos_token }}';
    expect(render({ chat_template: one, eos_token: { content: '</s>' } })).toBe('one </s>');
    const list = [
      { name: 'rag', template: 'rag' },
      { name: 'default', template: 'two' },
    ];
    expect(render({ chat_template: list })).toBe('two');
    expect(new Tokenizer(json, {}).chatTemplate).toBeUndefined();
    await expectError(() => new Tokenizer(json, { chat_template: list.slice(0, 1) }), 'invalid-file', 'default');
    await expectError(() => new Tokenizer(json, { chat_template: 5 }), 'invalid-file', 'chat_template');
    const own = await openTokenizer(storeWith({ 'chat_template.jinja': 'three {{ bos_token }}' }));
    expect(own!.chatTemplate!.render(messages)).toBe('three <|endoftext|>');
  });

  it('format a prompt with its special tokens', async () => {
    const template = '{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}';
    const backend = await cpu().create();
    const lm = await loadModel(backend, storeWith({ 'chat_template.jinja': template }));
    const ids = lm.encodeChat([
      { role: 'user', content: 'And God' },
      { role: 'assistant', content: ' said' },
    ]);
    expect(ids).toEqual([...lm.encode('And God'), 0, ...lm.encode(' said'), 0]);
    expect(lm.tokenizer!.specialTokens).toEqual(new Map([[0, '<|endoftext|>']]));
    expect(lm.tokenizer!.idOf('<|endoftext|>')).toBe(0);
    expect(await collect(lm.generate({ prompt: ids, maxTokens: 2 }))).toHaveLength(3);
    const without = await loadModel(backend, `${FIXTURES}/kjv-mamba`);
    await expectError(() => without.encodeChat(messages), 'unsupported', 'chat template');
    await backend.dispose();
  });

  it('are stored in a GGUF file, with the tokenizer and the same fingerprint', async () => {
    const checkpoint = await openCheckpoint(`${FIXTURES}/kjv-mamba`);
    const { config, source, specialTokens } = checkpoint;
    const tokenizer = JSON.parse(await readFile(`${FIXTURES}/kjv-mamba/tokenizer.json`, 'utf8')) as unknown;
    const chatTemplate = '{{ bos_token }}{{ messages[0].content }}';
    const sink = memorySink();
    await writeGguf({ config, source, specialTokens, tokenizer, chatTemplate, type: 'F16', sink });
    await checkpoint.close();
    const backend = await cpu().create();
    const gguf = await loadModel(backend, [new File([sink.bytes() as BlobPart], 'kjv.gguf')]);
    const original = await loadModel(backend, `${FIXTURES}/kjv-mamba`);
    expect(gguf.encodeChat([{ role: 'user', content: 'And God' }])).toEqual([0, ...original.encode('And God')]);
    expect(gguf.fingerprint).toBe(original.fingerprint);
    const [session, request] = [original.createSession(), { prompt: 'And God said', maxTokens: 5 }];
    expect(await collect(gguf.generate(request))).toEqual(await collect(original.generate(request)));
    await session.append('And God said');
    const moved = await session.copyTo(gguf);
    expect(await collect(moved.generate({ maxTokens: 5 }))).toEqual(await collect(original.generate(request)));
    await backend.dispose();
  });

  it('refuse messages, and report that they are broken themselves', async () => {
    const template = new ChatTemplate(CHATML, { bos_token: '' });
    await expectError(() => template.render([]), 'invalid-argument', 'messages');
    await expectError(() => template.render([{ content: 'x' } as never]), 'invalid-argument', 'messages[0]');
    await expectError(() => template.render([{ role: 'dog', content: 'x' }]), 'invalid-argument', 'unknown role dog');
    await expectError(() => new ChatTemplate('{% if %}', {}, 'x.json').render(messages), 'invalid-file', 'x.json');
  });
});

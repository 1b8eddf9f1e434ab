import { describe, expect, it } from 'vitest';
import { collect, expectError, loadWith } from '../../test/helpers.ts';
import { ChatTemplate } from './chat-template.ts';
import { TEMPLATE_REMEDY } from './template-limits.ts';

const messages = [{ role: 'user', content: 'Who art thou?' }];
const render = (source: string, said: readonly { role: string; content: string }[] = messages): string =>
  new ChatTemplate(source, {}, 'x.json').render(said);
const forty = (body: string): string => `{% for i in range(40) %}${body}{% endfor %}`;

describe('limits of a chat template', () => {
  it.each([
    ['an endless range', '{{ range(1000000000) }}'],
    ['a range of tiny steps', '{{ range(0, 1, 1e-300) }}'.replace('1e-300', '0.0000000001')],
    ['a range backwards', '{{ range(0, -1000000000, -1) }}'],
    ['loops in loops', '{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}'],
    ['loops with a filter', '{% for a in range(9999) %}{% for b in range(9999) if b == a %}{% endfor %}{% endfor %}'],
    [
      'loops over the characters of a list',
      "{% for a in ('a,' * 1 ~ 'b').split(',') %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}".replace(
        ' * 1',
        '',
      ),
    ],
    [
      'a macro that calls itself twice',
      '{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}',
    ],
    ['a text that doubles', `{% set ns = namespace(s='aaaaaaaa') %}${forty('{% set ns.s = ns.s + ns.s %}')}{{ ns.s }}`],
    [
      'a text that is joined to itself',
      `{% set ns = namespace(s='aaaaaaaa') %}${forty('{% set ns.s = ns.s ~ ns.s %}')}{{ ns.s }}`,
    ],
    [
      'a replacement that grows',
      `{% set ns = namespace(s='aa') %}${forty("{% set ns.s = ns.s.replace('a', 'aa') %}")}{{ ns.s }}`,
    ],
    [
      'a list that doubles',
      `{% set ns = namespace(l=[1]) %}${forty('{% set ns.l = ns.l + ns.l %}')}{{ ns.l | length }}`,
    ],
    ['lists in lists', `{% set ns = namespace(l=[1]) %}${forty('{% set ns.l = [ns.l, ns.l] %}')}{{ ns.l | tojson }}`],
    [
      'objects in objects',
      `{% set ns = namespace(o={}) %}${forty("{% set ns.o = {'a': ns.o, 'b': ns.o} %}")}{{ ns.o }}`,
    ],
    [
      'namespaces that are filled from within',
      `{% set ns = namespace(l=[]) %}${forty('{% set ns.l = ns.l + [namespace()] %}')}${Array.from({ length: 39 }, (_, i) => `{% set n = ns.l[${i}] %}{% set n.v = [ns.l[${i + 1}], ns.l[${i + 1}]] %}`).join('')}{{ ns.l[0] | tojson }}`,
    ],
    ['a wide indent', "{{ 'a\nb' | indent(100000000) }}"],
    ['a wide indent of JSON', '{{ messages | tojson(indent=100000000) }}'],
    [
      'a search through a list, again and again',
      '{% set l = range(99999) %}{% for a in l %}{% if -1 in l %}{% endif %}{% endfor %}',
    ],
    [
      'a block that is captured and doubled',
      `{% set s = 'aaaaaaaa' %}{% macro d(s) %}{{ s }}{{ s }}{% endmacro %}${'{% set s = d(s) %}'.repeat(40)}{{ s }}`,
    ],
  ])('refuse %s', async (_, source) => {
    await expectError(() => render(source), 'invalid-file', 'x.json', TEMPLATE_REMEDY);
  });

  it('allow a long conversation', () => {
    const said = Array.from({ length: 5000 }, (_, index) => ({
      role: index % 2 === 0 ? 'user' : 'assistant',
      content: 'In the beginning God created the heaven and the earth.'.repeat(4),
    }));
    const source =
      "{% for m in messages %}{% if loop.index0 > 0 and messages[loop.index0 - 1].role == m.role %}{{ raise_exception('twice') }}" +
      "{% endif %}<|{{ m['role'] }}|>{{ m.content | trim }}{% endfor %}";
    expect(render(source, said)).toBe(said.map(({ role, content }) => `<|${role}|>${content}`).join(''));
  });

  it('allow the globals of transformers', () => {
    expect(render('{{ range(3) }}{{ range(5, 1, -2) }}{{ range(2, 4) | length }}')).toBe('[0, 1, 2][5, 3]2');
    expect(render('{{ True and true }}{{ False }}{{ None is none }}')).toBe('truefalsetrue');
    expect(render("{{ strftime_now('%Y-%m-%d %B %%') }}")).toMatch(/^\d{4}-\d\d-\d\d [A-Z][a-z]+ %$/);
  });

  it('can be avoided by a prompt of text', async () => {
    const lm = await loadWith('chat_template.jinja', '{{ range(1000000000) }}');
    await expectError(() => lm.encodeChat(messages), 'invalid-file', TEMPLATE_REMEDY);
    const pieces = lm.generate({ prompt: `user: ${messages[0]!.content}`, maxTokens: 3 });
    expect(await collect(pieces)).toHaveLength(4);
    await lm.model.backend.dispose();
  });
});

/**
 * Unreliable servers and connections: failed requests are repeated, and headers that a response lacks are not needed.
 */
import { MambaError } from '@mamba/core';
import { describe, expect, it } from 'vitest';
import { checkpointStore, openUrl, retry, Transient, type UrlOptions, type Wait } from '../src/index.ts';
import { wait } from '../src/io/retry.ts';
import { expectError } from './helpers.ts';

const HOST = 'https://host.test';
const FILE = `${HOST}/file`;
const content = Uint8Array.from({ length: 200_000 }, (_, index) => (index * 7 + (index >> 8)) & 255);

type Answer = (range: [number, number] | undefined, method: string) => Response | Promise<Response>;

interface Sent {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
}

/** A network with given responses for each address. Waits return at once. */
function network(answers: Record<string, Answer>): { options: UrlOptions; sent: Sent[]; waits: number[] } {
  const sent: Sent[] = [];
  const waits: number[] = [];
  const pause: Wait = async (milliseconds) => void waits.push(milliseconds);
  const fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    const method = init.method ?? 'GET';
    sent.push({ url: String(input), method, headers });
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.get('range') ?? '') ?? [];
    return answers[String(input)]!(from === undefined ? undefined : [Number(from), Number(to)], method);
  };
  return { options: { fetch, wait: pause }, sent, waits };
}

const whole = (headers: Record<string, string> = {}): Response => new Response(content.slice(), { headers });
const part = ([from, to]: [number, number], headers?: Record<string, string>): Response => {
  const range = `bytes ${from}-${Math.min(to, content.length - 1)}/${content.length}`;
  return new Response(content.slice(from, to + 1), { status: 206, headers: headers ?? { 'content-range': range } });
};
const serve: Answer = (range) => (range === undefined ? whole() : part(range));
const cut = (): Promise<Response> => Promise.reject(new TypeError('fetch failed', { cause: { code: 'ECONNRESET' } }));
/** A body that ends with an error. */
const torn = (): Response => {
  const pull = (controller: ReadableStreamDefaultController): void => controller.error(new TypeError('terminated'));
  return new Response(new ReadableStream({ pull }), {
    status: 206,
    headers: { 'content-range': 'bytes 0-65535/200000' },
  });
};
const status = (code: number, headers: Record<string, string> = {}): Response =>
  new Response('', { status: code, headers });

/** Gives these responses in turn, and the last one from then on. */
function turns(...answers: Answer[]): Answer {
  let turn = 0;
  return (...asked) => answers[Math.min(turn++, answers.length - 1)]!(...asked);
}

async function expectContent(options: UrlOptions): Promise<void> {
  const source = await openUrl(FILE, options);
  expect(source.size).toBe(content.length);
  for (const [start, length] of [
    ...[
      [0, 10],
      [65_530, 12],
      [100_000, 70_000],
    ],
    ...[
      [199_999, 1],
      [200_000, 0],
    ],
  ] as [number, number][])
    expect(Buffer.compare(await source.read(start, length), content.subarray(start, start + length))).toBe(0);
}

describe('a request that fails', () => {
  it.each<[string, Answer]>([
    ['a reset', cut],
    ['a body that is cut', torn],
    ['a body that is too short', () => part([0, 99], { 'content-range': 'bytes 0-99/200000' })],
    ...[408, 425, 429, 500, 502, 503, 504, 520, 529].map((code): [string, Answer] => [`${code}`, () => status(code)]),
  ])('is sent again after %s', async (_, failing) => {
    const { options, waits } = network({ [FILE]: turns(failing, failing, serve, failing, serve) });
    await expectContent(options);
    expect(waits.slice(0, 2)).toEqual([200, 400]);
    expect(waits.length).toBeGreaterThanOrEqual(3);
  });

  it('is given up after five, and said why', async () => {
    const { options, waits } = network({ [FILE]: cut });
    await expectError(openUrl(FILE, options), 'io', FILE, 'ECONNRESET', 'try again');
    expect(waits).toEqual([200, 400, 800, 1600]);
  });

  it.each([400, 401, 403, 405, 451, 501, 505])('is not sent again after %i', async (code) => {
    const { options, sent } = network({ [FILE]: () => status(code) });
    await expectError(openUrl(FILE, options), 'io', `status ${code}`);
    expect(sent).toHaveLength(1);
  });

  it('is not sent again where the certificate is wrong, or a header is none', async () => {
    const cause = Object.assign(new Error('certificate has expired'), { code: 'CERT_HAS_EXPIRED' });
    const { options, sent } = network({ [FILE]: () => Promise.reject(new TypeError('fetch failed', { cause })) });
    await expectError(openUrl(FILE, options), 'io', 'certificate');
    expect(sent).toHaveLength(1);
    const secret = openUrl(FILE, { ...options, headers: { Authorization: 'Bearer a\nb' } });
    await expectError(secret, 'invalid-argument', 'headers."Authorization"', 'one line');
    await secret.catch((error: Error) => expect(error.message).not.toContain('a\nb'));
    expect(sent).toHaveLength(1);
  });

  it('waits as long as the server asks, within reason', async () => {
    const dated = { 'retry-after': 'Wed, 01 Jan 2020 00:00:30 GMT', date: 'Wed, 01 Jan 2020 00:00:00 GMT' };
    const busy = [{ 'retry-after': '7' }, dated, { 'retry-after': 'soon' }].map(
      (headers) => () => status(429, headers),
    );
    const { options, waits } = network({ [FILE]: turns(...busy, serve) });
    await expectContent(options);
    expect(waits).toEqual([7000, 30_000, 800]);
    const closed = network({ [FILE]: () => status(503, { 'retry-after': '3600' }) });
    await expectError(openUrl(FILE, closed.options), 'io', 'Try again in 3600 seconds');
    expect(closed.waits).toEqual([]);
  });

  it('ends at once where it is aborted, in a wait too', async () => {
    const aborter = new AbortController();
    const { options } = network({ [FILE]: cut });
    const pause: Wait = async () => aborter.abort();
    await expectError(openUrl(FILE, { ...options, signal: aborter.signal, wait: pause }), 'aborted', FILE);
    await wait(2 ** 30, AbortSignal.abort());
    const later = new AbortController();
    const waiting = wait(2 ** 30, later.signal);
    later.abort();
    await waiting;
  });

  it('has all attempts again where it got further', async () => {
    let done = 0;
    const act = async (): Promise<number> => {
      done++;
      if (done < 20) throw new MambaError('io', 'cut', { cause: new Transient('cut') });
      return done;
    };
    expect(await retry(act, { wait: async () => {}, progress: () => done })).toBe(20);
  });
});

describe('a server', () => {
  const noTotal = (range: [number, number]): Response => part(range, {});
  it.each<[string, Answer]>([
    ['ignores ranges', () => whole()],
    [
      'says no total, but a length to HEAD',
      (range, method) =>
        range ? noTotal(range) : method === 'HEAD' ? status(200, { 'content-length': '200000' }) : whole(),
    ],
    [
      'says no total, and refuses HEAD',
      (range, method) =>
        range ? noTotal(range) : method === 'HEAD' ? status(405) : whole({ 'content-length': '200000' }),
    ],
    ['says no total and no length at all', (range) => (range ? noTotal(range) : whole())],
    [
      'counts compressed bytes for HEAD',
      (range, method) =>
        range
          ? noTotal(range)
          : method === 'HEAD'
            ? status(200, { 'content-length': '777', 'content-encoding': 'gzip' })
            : whole(),
    ],
    ...[0, 777, 150_000, 300_000].map((length): [string, Answer] => [
      `says a wrong length to HEAD, ${length}`,
      (range, method) =>
        range
          ? range[0] < content.length
            ? noTotal([range[0], Math.min(range[1], content.length - 1)])
            : status(416)
          : method === 'HEAD'
            ? status(200, { 'content-length': `${length}` })
            : whole({ 'content-length': '200000' }),
    ]),
    [
      'counts compressed bytes, and does not say so',
      (range, method) =>
        range
          ? noTotal(range)
          : method === 'HEAD'
            ? status(200, { 'content-length': '90000' })
            : whole({ 'content-length': '90000' }),
    ],
    [
      'gives 1,500 bytes of a range',
      (range) => (range ? part([range[0], Math.min(range[1], range[0] + 1499)]) : whole()),
    ],
    [
      'gives 1,500 bytes of a range, and says no total',
      (range, method) =>
        range
          ? noTotal([range[0], Math.min(range[1], range[0] + 1499)])
          : method === 'HEAD'
            ? status(200, { 'content-length': '200000' })
            : whole(),
    ],
    [
      'gives more than the range',
      (range) => (range ? part([range[0] - (range[0] % 4096), range[1] + 4096 - (range[1] % 4096)]) : whole()),
    ],
    ['gives ranges of compressed bytes', (range) => (range ? part(range, { 'content-encoding': 'gzip' }) : whole())],
    ['cannot satisfy ranges', (range) => (range ? status(416) : whole())],
    ['gives ranges, and then does not', turns(serve, () => whole())],
  ])('that %s will do', async (_, answer) => {
    const { options, waits } = network({ [FILE]: answer });
    await expectContent(options);
    expect(waits).toEqual([]);
  });

  it('that gives another range than the one asked for is noticed', async () => {
    const { options } = network({ [FILE]: turns(serve, () => part([80_000, 80_009])) });
    await expectError((await openUrl(FILE, options)).read(70_000, 10), 'invalid-file', 'from 80000', 'from 70000');
  });

  it('that gives a part of each range, and is cut, goes on where it was', async () => {
    const capped: Answer = (range) => part([range![0], Math.min(range![1], range![0] + 49_999)]);
    const { options, sent } = network({ [FILE]: turns(capped, capped, cut, capped) });
    const source = await openUrl(FILE, options);
    expect(Buffer.compare(await source.read(60_000, 120_000), content.subarray(60_000, 180_000))).toBe(0);
    expect(sent.slice(1).map(({ headers }) => headers.get('range'))).toEqual([
      ...['bytes=60000-179999', 'bytes=110000-179999', 'bytes=110000-179999', 'bytes=160000-179999'],
    ]);
  });

  it('that replaces the file meanwhile is noticed', async () => {
    const other = { 'content-range': 'bytes 70000-70009/300000' };
    const { options } = network({ [FILE]: turns(serve, () => part([70_000, 70_009], other)) });
    const source = await openUrl(FILE, options);
    await expectError(source.read(70_000, 10), 'invalid-file', 'replaced');
  });
});

describe('headers', () => {
  const headers = { Authorization: 'Bearer secret', 'X-Api-Key': 'secret' };
  const to =
    (location: string): Answer =>
    () =>
      status(302, { location });

  it.each([
    ['https://cdn.test/file', 0],
    [`${HOST}:8443/file`, 0],
    ['http://host.test/file', 0],
    ['/other', 2],
  ])('go with a redirect to %s: %i of them', async (location, kept) => {
    const target = new URL(location, FILE).href;
    const { options, sent } = network({ [FILE]: to(location), [target]: serve });
    await expectContent({ ...options, headers });
    const there = sent.filter(({ url }) => url === target);
    expect(there.length).toBeGreaterThan(1);
    for (const { headers: got } of there) {
      expect(got.has('range')).toBe(true);
      expect(Object.keys(headers).filter((name) => got.has(name))).toHaveLength(kept);
    }
  });

  it('do not come back with a redirect that does', async () => {
    const { options, sent } = network({
      [FILE]: to('https://cdn.test/x'),
      'https://cdn.test/x': to(`${HOST}/y`),
      [`${HOST}/y`]: serve,
    });
    await expectContent({ ...options, headers });
    expect(sent.filter(({ headers: got }) => got.has('x-api-key')).every(({ url }) => url === FILE)).toBe(true);
  });

  it('follow no redirect to what is not on the network, or for ever', async () => {
    const away = network({ [FILE]: to('data:text/plain,x') });
    await expectError(openUrl(FILE, { ...away.options, headers }), 'io', 'data:');
    for (const [location, word] of [
      ['http://[', 'http://['],
      ['https://me:secret@host.test/', 'host.test with a user'],
    ] as const) {
      const strange = network({ [FILE]: to(location) });
      const opening = openUrl(FILE, { ...strange.options, headers });
      await expectError(opening, 'io', word);
      await opening.catch((error: Error) => expect(error.message).not.toContain('secret'));
      expect(strange.sent).toHaveLength(1);
    }
    const round = network({ [FILE]: to('/file') });
    await expectError(openUrl(FILE, { ...round.options, headers }), 'io', '20 redirects');
  });

  it('go once with each read where a browser hides the redirect', async () => {
    const { options, sent } = network({ [FILE]: serve });
    const redirects: (string | undefined)[] = [];
    // The response of `fetch` in a page for a redirect that it must not follow.
    const opaque = Object.defineProperties(status(200), { type: { value: 'opaqueredirect' }, status: { value: 0 } });
    const fetch = async (url: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
      redirects.push(init.redirect);
      return init.redirect === 'manual' ? opaque : options.fetch!(url, init);
    };
    await expectContent({ ...options, fetch, headers });
    expect(redirects.length).toBeGreaterThan(3);
    expect(redirects.filter((redirect) => redirect === 'manual')).toHaveLength(1);
    expect(sent.every(({ headers: got }) => got.has('authorization') && got.has('range'))).toBe(true);
  });
});

describe('an address', () => {
  it.each(['https://', 'nowhere', 'https://me:secret@host.test/file', 'https://me@host.test/file'])(
    'that is %s is refused at once, without its secrets',
    async (address) => {
      const { options, sent, waits } = network({});
      const opening = openUrl(address, options);
      await expectError(opening, 'invalid-argument', 'address');
      await opening.catch((error: Error) => expect(error.message).not.toContain('me'));
      expect([sent, waits]).toEqual([[], []]);
    },
  );

  it('of a folder may hold no password either', () => {
    const refused = expect.objectContaining({
      code: 'invalid-argument',
      message: expect.not.stringContaining('secret'),
    });
    expect(() => checkpointStore('https://me:secret@host.test/folder')).toThrow(refused);
    expect(() => checkpointStore('http://[')).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});

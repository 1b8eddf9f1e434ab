import { describe, expect, it } from 'vitest';
import { canonicalHost, hostGuard, isLoopback } from './hosts.ts';

const LOOPBACK = [
  ...[
    'localhost',
    'LOCALHOST',
    'localhost.',
    'LocalHost.',
    'app.localhost',
    'a.b.LOCALHOST.',
    '127.0.0.1',
    '127.0.0.2',
  ],
  ...['127.255.255.254', '127.1', '2130706433', '0x7f.1', '::1', '[::1]', '[0:0:0:0:0:0:0:1]', '[::ffff:127.0.0.1]'],
  ...['::ffff:127.8.9.10', '[::FFFF:7F00:1]', '[::ffff:7f01:203]'],
];
const OTHERS = [
  ...[
    '',
    'evil.example',
    'localhost.evil.example',
    'notlocalhost',
    '127.0.0.1.evil.example',
    '128.0.0.1',
    '0.0.0.0',
    '::',
  ],
  ...['[::2]', '[::ffff:8.8.8.8]', '[::127.0.0.1]', 'a b', 'user@localhost', 'localhost/..', 'localhost, evil.example'],
  ...['localhost:80:80', 'evil.example#localhost', 'localhost%00', '.localhost.evil.example', '[localhost]'],
];

describe('hosts', () => {
  it.each(LOOPBACK)('%s is loopback', (host) => {
    expect(isLoopback(host)).toBe(true);
    expect(hostGuard('127.0.0.1', [])(host)).toBe(true);
    if (!host.includes(':') || host.startsWith('[')) expect(hostGuard(host, [])(`${host}:8080`)).toBe(true);
  });

  it.each(OTHERS)('%j is not', (host) => {
    expect(isLoopback(host)).toBe(false);
    expect(hostGuard('127.0.0.1', [])(host)).toBe(false);
  });

  it('are accepted if they are allowed, bound or loopback', () => {
    for (const bound of ['127.0.0.1', '0.0.0.0', '::']) {
      const guard = hostGuard(bound, ['Model.Example.', '192.168.0.5']);
      for (const host of ['model.example', 'MODEL.EXAMPLE:8080', '192.168.0.5:80', 'localhost'])
        expect(guard(host)).toBe(true);
      for (const host of ['other.example', 'x.model.example', '192.168.0.6']) expect(guard(host)).toBe(false);
    }
    expect(hostGuard('0.0.0.0', [])('anything.example')).toBe(true);
    expect(hostGuard('box.example', ['model.example'])('box.example:8080')).toBe(true);
  });

  it('have one canonical form', () => {
    expect(canonicalHost('127.1')).toBe('127.0.0.1');
    expect(canonicalHost('[0:0::1]')).toBe('[::1]');
    expect(canonicalHost('Bücher.example')).toBe('xn--bcher-kva.example');
  });
});

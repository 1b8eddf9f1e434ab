/** The compose file starts the command with options that it has, and the balancer asks what the servers answer. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');

it('gives the servers options that the command has', () => {
  const bin = fileURLToPath(new URL('bin/mamba-lm.js', import.meta.resolve('@mamba/lm/package.json')));
  const help = execFileSync(process.execPath, [bin, 'help', 'serve'], { encoding: 'utf8' });
  const flags = [...read('compose.yaml').matchAll(/^ {4}- (--[a-z-]+)/gm)].map(([, flag]) => flag!);
  expect(flags.length).toBeGreaterThan(5);
  for (const flag of flags) expect(help).toMatch(new RegExp(`(^|\\s)${flag}(?![a-z-])`, 'm'));
});

it('stops a server after it has had the time that it takes', () => {
  const compose = read('compose.yaml');
  const seconds = (pattern: RegExp): number => Number(pattern.exec(compose)![1]);
  const needed = seconds(/--notice=(\d+)/) + seconds(/--grace=(\d+)/) + 6;
  expect(seconds(/stop_grace_period: (\d+)s/)).toBeGreaterThan(needed);
});

it('has the balancer send requests to the servers that there are', () => {
  const servers = [...read('compose.yaml').matchAll(/^ {2}(\w+): \*server$/gm)].map(([, name]) => `${name}:8080`);
  expect(read('Caddyfile')).toContain(`{$SERVERS:${servers.join(' ')}}`);
  expect(read('Caddyfile')).toContain('health_uri /ready');
});

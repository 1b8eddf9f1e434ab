import { describe, expect, it, vi } from 'vitest';
import { failure, fakeBackend } from '../../test/fake-driver.ts';
import type { BackendProvider } from '../contract/backend.ts';
import { MambaError } from '../contract/errors.ts';
import { selectBackend } from './select-backend.ts';

const runs = (name: string): BackendProvider => ({ name, create: vi.fn(async () => fakeBackend(name).backend) });
const fails = (name: string, error: Error): BackendProvider => ({ name, create: () => Promise.reject(error) });
const unavailable = (why: string) => new MambaError('unavailable', why, { remedy: 'Install a driver.' });

describe('selectBackend', () => {
  it('takes the first that runs and creates no other', async () => {
    const [first, second] = [runs('first'), runs('second')];
    const backend = await selectBackend([fails('gpu', unavailable('no adapter')), first, second]);
    expect(backend.name).toBe('first');
    expect(second.create).not.toHaveBeenCalled();
  });

  it('names every reason where none runs', async () => {
    const providers = [fails('gpu', unavailable('no adapter')), fails('cpu', unavailable('no SIMD'))];
    const error = await selectBackend(providers).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toEqual(failure('unavailable', 'selectBackend'));
    expect((error as Error).message).toMatch(/gpu: no adapter.*Install a driver.*cpu: no SIMD/);
  });

  it('does not hide a failure of another kind', async () => {
    await expect(selectBackend([fails('gpu', new TypeError('a bug')), runs('cpu')])).rejects.toThrow('a bug');
    const lost = new MambaError('device-lost', 'gone');
    await expect(selectBackend([fails('gpu', lost), runs('cpu')])).rejects.toBe(lost);
  });

  it('refuses an empty list', async () => {
    await expect(selectBackend([])).rejects.toThrow(failure('invalid-argument', 'selectBackend'));
  });
});

import { expect, test } from 'vitest';
import { hubIdOfAddress } from '../src/hub-id.ts';

test.each([
  ['https://huggingface.co/owner/name', 'owner/name'],
  [' https://huggingface.co/owner/name/ ', 'owner/name'],
  ['huggingface.co/owner/name?library=transformers#usage', 'owner/name'],
  ['https://hf.co/owner/name', 'owner/name'],
  ['https://huggingface.co/owner/name/tree/main', 'owner/name'],
  ['https://huggingface.co/owner/name/tree/main/sub/deep', 'owner/name/sub/deep'],
  ['https://huggingface.co/owner/name/tree/v1.0', 'owner/name@v1.0'],
  ['https://huggingface.co/owner/name/tree/refs%2Fpr%2F1', 'owner/name@refs%2Fpr%2F1'],
  ['https://huggingface.co/owner/name/blob/main/config.json', 'owner/name'],
  ['https://huggingface.co/owner/name/blob/main/sub/a.gguf', 'owner/name/sub/a.gguf'],
  ['https://huggingface.co/owner/name/resolve/main/a.gguf?download=true', 'owner/name/a.gguf'],
  ['https://huggingface.co/owner/name/discussions/1', 'owner/name'],
])('%s is %s', (address, id) => expect(hubIdOfAddress(address)).toBe(id));

test.each(['owner/name', 'hf:owner/name', 'https://example.org/owner/name', 'https://example.org/huggingface.co/a/b'])(
  '%s is no address of the hub',
  (text) => expect(hubIdOfAddress(text)).toBeUndefined(),
);

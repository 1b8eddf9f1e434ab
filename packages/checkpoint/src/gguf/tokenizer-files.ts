import type { SpecialTokens } from '../config/special-tokens.ts';
import { chosenTemplate } from '../tokenizer/chat-template.ts';
import type { TokenizerFiles } from '../tokenizer/files.ts';
import type { WarningListener } from '../warnings.ts';
import type { GgufFile } from './file.ts';
import { ggufTokenizer } from './tokenizer.ts';

/**
 * The tokenizer of a GGUF file, with its chat template.
 * @throws MambaError as `ggufTokenizer` does.
 */
export function ggufTokenizerFiles(
  file: GgufFile,
  { bos, eos }: SpecialTokens,
  onWarning: WarningListener,
): TokenizerFiles | undefined {
  const json = ggufTokenizer(file);
  if (json === undefined) return undefined;
  const tokens = file.metadata.get('tokenizer.ggml.tokens');
  const named = (name: string, id: number | undefined): object => {
    const token = Array.isArray(tokens) && id !== undefined ? tokens[id] : undefined;
    return typeof token === 'string' ? { [name]: token } : {};
  };
  const key = 'tokenizer.chat_template';
  const template = chosenTemplate(`${file.name}: "${key}"`, file.metadata.get(key), onWarning);
  return {
    origin: file.name,
    json,
    config: {
      ...named('bos_token', bos),
      ...named('eos_token', eos[0]),
      ...(template !== undefined && { chat_template: template }),
    },
  };
}

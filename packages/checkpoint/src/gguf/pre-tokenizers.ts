/**
 * The pre-tokenizers of llama.cpp by the names in `tokenizer.ggml.pre`. They split a text before merging. Each is a
 * list of patterns that are applied one after the other: every match is a piece, and so is every text between two
 * matches.
 */

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)";
const CONTRACTIONS = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
const cl100k = (digits: string): string =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

const PATTERNS: ReadonlyMap<readonly string[], readonly string[]> = new Map([
  [['gpt-2', 'phi-2', 'mpt', 'olmo', 'jais', 'trillion', 'gigachat', 'mellum'], [GPT2]],
  [['default'], ['[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2, '\\p{N}+', '[0-9][0-9][0-9]']],
  [['falcon'], ['[\\p{P}\\$\\+<=>\\^~\\|`]+', GPT2, '[0-9][0-9][0-9]']],
  [
    ['starcoder', 'refact', 'command-r', 'smollm', 'codeshell', 'exaone', 'minerva-7b'],
    ['\\p{N}', GPT2],
  ],
  [['llama3', 'llama-v3', 'llama-bpe', 'dbrx', 'smaug-bpe'], [cl100k('\\p{N}{1,3}')]],
  [['qwen2', 'stablelm2', 'deepseek-r1-qwen'], [cl100k('\\p{N}')]],
]);

/** The `pre_tokenizer` of a `tokenizer.json` for one of llama.cpp's names; undefined for unknown names. */
export function preTokenizer(name: string): object | undefined {
  for (const [names, patterns] of PATTERNS) {
    if (!names.includes(name)) continue;
    if (patterns.length === 1 && patterns[0] === GPT2) return BYTE_LEVEL;
    const splits = patterns.map((pattern) => ({
      type: 'Split',
      pattern: { Regex: pattern },
      behavior: 'Isolated',
      invert: false,
    }));
    return { type: 'Sequence', pretokenizers: [...splits, { ...BYTE_LEVEL, use_regex: false }] };
  }
  return undefined;
}

/** Whether a pre-tokenizer of this name skips the merges of a piece that is a token already. */
export function ignoresMerges(name: string): boolean {
  return ['llama3', 'llama-v3', 'llama-bpe'].includes(name);
}

export function knownPreTokenizers(): string {
  return [...PATTERNS.keys()].flat().join(', ');
}

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };

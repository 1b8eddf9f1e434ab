import { defineGru } from './gru/block.ts';
import { defineLinearAttention } from './linear-attention/block.ts';
import { defineLstm } from './lstm/block.ts';
import { definePerformer } from './performer/block.ts';
import { defineS4d } from './s4d/block.ts';

/** Makes every kind of this package known. Call it before the first model with such blocks is made. */
export function defineMixers(): void {
  defineGru();
  defineLinearAttention();
  defineLstm();
  definePerformer();
  defineS4d();
}

import { defineGru } from './gru/block.ts';
import { defineLinearAttention } from './linear-attention/block.ts';
import { defineLinformer } from './linformer/block.ts';
import { defineLowRank } from './low-rank/block.ts';
import { defineLstm } from './lstm/block.ts';
import { definePerformer } from './performer/block.ts';
import { defineReformer } from './reformer/block.ts';
import { defineRetention } from './retention/block.ts';
import { defineS4d } from './s4d/block.ts';
import { defineSlidingWindow } from './sliding-window/block.ts';
import { defineSoftmaxAttention } from './softmax-attention/block.ts';

/** Makes every kind of this package known. Call it before the first model with such blocks is made. */
export function defineMixers(): void {
  defineGru();
  defineLinearAttention();
  defineLinformer();
  defineLowRank();
  defineLstm();
  definePerformer();
  defineReformer();
  defineRetention();
  defineS4d();
  defineSlidingWindow();
  defineSoftmaxAttention();
}

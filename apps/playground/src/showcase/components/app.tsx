import type { Showcase } from '../showcase.ts';
import { ForkScene } from './fork-scene.tsx';
import { MemoryScene } from './memory-scene.tsx';
import { Opening } from './opening.tsx';
import { RaceScene } from './race-scene.tsx';
import { SelectionScene } from './selection-scene.tsx';
import { TrainingScene } from './training-scene.tsx';

export function App({ showcase }: { readonly showcase: Showcase }) {
  return (
    <div class="showcase">
      <Opening showcase={showcase} />
      <main>
        <MemoryScene showcase={showcase} />
        <SelectionScene showcase={showcase} />
        <ForkScene showcase={showcase} />
        <RaceScene showcase={showcase} />
        <TrainingScene showcase={showcase} />
      </main>
      <footer class="further">
        <h2>Go on by yourself</h2>
        <p>
          <a href="./">Try models</a> has the same with models of your own, with marks, files and links.{' '}
          <a href="./train.html">Train</a> has more trainings, and teaches this model a text of yours. Both run in this
          browser too.
        </p>
        <p class="hint">
          Mamba comes from <a href="https://arxiv.org/abs/2312.00752">a paper of 2023</a>. All that is measured here is
          measured on your device, beside whatever else it does; what is computed says so.
        </p>
      </footer>
    </div>
  );
}

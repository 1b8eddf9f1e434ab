import { Training } from '../training/training.ts';
import { Forks } from './forks.ts';
import { Memory } from './memory.ts';
import { Passage } from './passage.ts';
import { Race } from './race.ts';
import { REMEDIES } from './section.ts';
import { SharedModel } from './shared-model.ts';
import { Story } from './story.ts';

/** The state and the actions of the page, without its looks: a part for each section. */
export class Showcase {
  readonly model: SharedModel;
  readonly story: Story;
  readonly memory: Memory;
  readonly passage: Passage;
  readonly forks: Forks;
  readonly race: Race;
  readonly training: Training;

  /** @param changed Called after every change. */
  constructor(changed: () => void) {
    this.model = new SharedModel(changed);
    this.story = new Story(changed, this.model);
    this.memory = new Memory(changed, this.model, this.story);
    this.passage = new Passage(changed, this.model);
    this.forks = new Forks(changed, this.model);
    this.race = new Race(changed);
    this.training = new Training(changed, REMEDIES);
    this.training.choose('cpu');
  }

  /** Stops all that is under way, as Esc asks; a training pauses. */
  stop(): void {
    for (const section of [this.story, this.memory, this.passage, this.forks]) section.stop();
    if (this.race.phase === 'running') this.race.stop();
    this.training.heads.pause();
  }
}

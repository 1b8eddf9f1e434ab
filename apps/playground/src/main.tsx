import { App } from './components/app.tsx';
import { Playground } from './playground.ts';
import { renderer } from './render.ts';

const changed = renderer(() => <App playground={playground} />);
const playground = new Playground(changed);
changed();
void playground.probe();

import { App } from './components/app.tsx';
import { settingOf } from './link.ts';
import { Playground } from './playground.ts';
import { renderer } from './render.ts';

const changed = renderer(() => <App playground={playground} />);
const playground = new Playground(changed, settingOf(location.hash));
changed();
void playground.probe();

import { cpu } from '@mamba/cpu';

export default cpu({ build: 'relaxed', threads: 2, revectorize: true });

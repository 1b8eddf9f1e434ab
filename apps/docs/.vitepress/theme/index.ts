import type { Theme } from 'vitepress';
// The theme without the font that it would bring: pages take the system's.
import DefaultTheme from 'vitepress/theme-without-fonts';
import { h } from 'vue';
import CostOverLength from '../../components/CostOverLength.vue';
import MeasuredFacts from '../../components/MeasuredFacts.vue';
import MeasuredPicture from '../../components/MeasuredPicture.vue';
import NotFound from '../../components/NotFound.vue';
import ScanInHand from '../../components/ScanInHand.vue';
import SpeedTable from '../../components/SpeedTable.vue';
import SupportMatrix from '../../components/SupportMatrix.vue';
import './style.css';

export default {
  extends: DefaultTheme,
  Layout: () => h(DefaultTheme.Layout, null, { 'not-found': () => h(NotFound) }),
  enhanceApp({ app }) {
    app.component('CostOverLength', CostOverLength);
    app.component('MeasuredFacts', MeasuredFacts);
    app.component('MeasuredPicture', MeasuredPicture);
    app.component('ScanInHand', ScanInHand);
    app.component('SpeedTable', SpeedTable);
    app.component('SupportMatrix', SupportMatrix);
  },
} satisfies Theme;

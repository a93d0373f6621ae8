// Put at the end of a page by browser.sh: tells the page around it what is wrong, nothing if all is well.
'use strict';
(() => {
  const wrong = window.inkErrors;

  // Wider than its box: whatever reaches beyond the window and does not scroll by itself.
  const scrolls = element => {
    for (let e = element; e && e !== document.body; e = e.parentElement)
      if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(e).overflowX)) return true;
    return false;
  };
  const checkWidths = () => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth > width) wrong.push(`the page is ${document.documentElement.scrollWidth} wide in a window of ${width}`);
    for (const element of document.body.querySelectorAll('*')) {
      const box = element.getBoundingClientRect();
      if (box.width > 0 && box.right > width + 1 && !scrolls(element))
        wrong.push(`${element.tagName}.${element.className} ends at ${Math.round(box.right)} of ${width}: ${element.textContent.slice(0, 40)}`);
    }
  };

  const checkPlayers = () => {
    const players = [...document.querySelectorAll('figure.player')];
    const picture = figure => figure.querySelector('.stage').innerHTML + figure.querySelector('.count').textContent;
    for (const figure of players) {
      const others = players.filter(p => p !== figure), before = picture(figure), beforeOthers = others.map(picture).join();
      const press = key => figure.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));
      const frames = Number(figure.querySelector('input').max) + 1;
      if (frames < 2) continue;
      press('ArrowRight');
      if (picture(figure) === before) wrong.push('a player does not move by the arrow keys: ' + figure.ariaLabel);
      press('End');
      if (!figure.querySelector('.count').textContent.startsWith(String(frames) + ' ')) wrong.push('End does not end: ' + figure.ariaLabel);
      const slider = figure.querySelector('input');
      slider.value = 0;
      slider.dispatchEvent(new Event('input'));
      if (picture(figure) !== before) wrong.push('the slider does not lead back: ' + figure.ariaLabel);
      if (others.map(picture).join() !== beforeOthers) wrong.push('players move each other: ' + figure.ariaLabel);
      const play = figure.querySelector('button[aria-label=play]');
      play.click();
      if (play.getAttribute('aria-label') !== 'pause') wrong.push('play does not play: ' + figure.ariaLabel);
      play.click();
    }
  };

  const checkTies = () => {
    for (const element of document.querySelectorAll('[data-eq]')) {
      element.dispatchEvent(new PointerEvent('pointerenter'));
      const numbers = element.dataset.eq.split(' ');
      const missed = [...document.querySelectorAll('[data-eq]')].filter(
          o => o.dataset.eq.split(' ').some(n => numbers.includes(n)) && !o.classList.contains('lit'));
      if (missed.length) wrong.push('pointing at ' + element.dataset.eq + ' does not mark its others');
      element.dispatchEvent(new PointerEvent('pointerleave'));
    }
    if (document.querySelector('.lit')) wrong.push('a mark stays when the pointer has left');
  };

  const checkImages = () => {
    for (const image of document.images) if (!image.naturalWidth) wrong.push('an image does not load: ' + image.getAttribute('src').slice(0, 60));
  };
  const checkFormulas = () => {
    if (!document.querySelector('script[src*=katex]')) return;  // the page says that KaTeX was not there
    for (const span of document.querySelectorAll('.tex')) if (!span.classList.contains('done')) wrong.push('a formula is not set: ' + span.textContent);
    for (const error of document.querySelectorAll('.katex-error')) wrong.push('a formula is wrong: ' + error.title);
  };

  window.addEventListener('load', async () => {
    for (const image of document.images) image.loading = 'eager';
    await Promise.all([...document.images].map(image => image.decode().catch(() => {})));
    for (const details of document.querySelectorAll('details')) details.open = true;
    for (const check of [checkPlayers, checkTies, checkImages, checkFormulas, checkWidths]) check();
    parent.postMessage({page: location.pathname, width: innerWidth, wrong: wrong.slice(0, 12)}, '*');
  });
})();

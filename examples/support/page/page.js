// Typesets formulas, folds long code, and ties an equation to the lines of code that carry its number.
'use strict';

// Macros that the notes share.
const macros = {'\\R': '\\mathbb{R}', '\\E': '\\mathbb{E}'};

function typeset(root) {
  if (!window.katex) return;
  for (const span of root.querySelectorAll('span.tex:not(.done)')) {
    const tex = span.textContent;
    katex.render(tex, span, {displayMode: span.hasAttribute('data-display'), throwOnError: false, macros: {...macros}, strict: 'ignore'});
    span.classList.add('done');
  }
}

function unfold(figure) {
  figure.classList.remove('folded');
  figure.querySelector('.unfold')?.remove();
}

// Everything that carries one of the numbers of `element` lights up with it.
function tie(element) {
  const numbers = element.dataset.eq.split(' ');
  const others = () => [...document.querySelectorAll('[data-eq]')].filter(o => o.dataset.eq.split(' ').some(n => numbers.includes(n)));
  const light = on => {
    for (const other of others()) {
      other.classList.toggle('lit', on);
      const figure = other.closest('figure.code.folded');
      if (on && figure && other.offsetTop + other.offsetHeight > figure.querySelector('pre').clientHeight) unfold(figure);
    }
  };
  element.addEventListener('pointerenter', () => light(true));
  element.addEventListener('pointerleave', () => light(false));
  element.addEventListener('focus', () => light(true));
  element.addEventListener('blur', () => light(false));
}

typeset(document);
document.querySelectorAll('.unfold').forEach(button => button.addEventListener('click', () => unfold(button.closest('figure'))));
document.querySelectorAll('a[href^="#eq-"]').forEach(link => { link.dataset.eq = link.hash.slice(4); });
document.querySelectorAll('[data-eq]').forEach(tie);
document.querySelectorAll('figure.player').forEach(figure => new Player(figure, typeset));

#pragma once

#include <string_view>

/// The style and the script of a report's page.
namespace nn::detail {

inline constexpr std::string_view kReportStyle = R"css(
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:76rem;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.1rem;margin:1.6rem 0 .6rem}.pale{color:var(--pale)}
.cards{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr))}
figure{margin:0;padding:.6rem;background:var(--card);border-radius:.5rem;min-width:0}
figure svg{display:block;width:100%;height:auto}
figcaption{font-size:.85rem;color:var(--pale);overflow-wrap:anywhere}
.scroll{overflow-x:auto}pre{margin:0;font-size:.8rem;line-height:1.35}
table{border-collapse:collapse;font-size:.85rem}td,th{padding:.15rem .5rem;text-align:right}
th{font-weight:600;color:var(--pale)}td:first-child,th:first-child{text-align:left}
.pictures{display:grid;gap:.6rem;grid-template-columns:repeat(auto-fill,minmax(6rem,1fr))}
.pictures img{width:100%;image-rendering:pixelated;border-radius:.25rem}
.tools{display:flex;gap:1rem;flex-wrap:wrap;align-items:center;font-size:.85rem;color:var(--pale);min-height:1.6rem}
.tools input[type=range]{width:7rem}.plot svg{cursor:crosshair;touch-action:pan-y}
.heat svg{max-width:52rem}.heat rect{stroke:var(--card)}.heat text{font-size:11px}
)css";

// Draws the figures again, as plot_body does, when a reader smooths, zooms or takes logarithms. What
// was chosen is kept while a live page loads itself again.
inline constexpr std::string_view kReportScript = R"js(
const W=640,H=320,L=58,R=10,T=22,B=24,w=W-L-R,h=H-T-B;
const figures=JSON.parse(document.getElementById('curves').textContent);
const escape=s=>s.replace(/[&<"]/g,c=>({'&':'&amp;','<':'&lt;','"':'&quot;'}[c]));
const short=x=>Number(x.toPrecision(4)).toString().replace('e+','e');
function ticks(a,b,log,n){
  const o=[];
  if(log&&b-a>=1){const s=Math.max(1,Math.ceil((b-a)/n));for(let e=Math.ceil(a-1e-9);e<=b+1e-9;e+=s)o.push(10**e);return o}
  const lo=log?10**a:a,hi=log?10**b:b,r=(hi-lo)/n,p=10**Math.floor(Math.log10(r)),s=[1,2,5,10].map(k=>k*p).find(k=>k>=r);
  for(let i=Math.ceil(lo/s);i*s<=hi+s*1e-9;i++)o.push(Math.abs(i)<1e-9?0:i*s);
  return o}
function range(v,log){
  v=v.map(x=>x==null?NaN:log?(x>0?Math.log10(x):NaN):x).filter(Number.isFinite);
  if(!v.length)return[0,1];
  let a=v[0],b=v[0];
  for(const x of v){if(x<a)a=x;if(x>b)b=x}
  if(b-a<=Math.abs(b)*1e-12){const r=b==0?1:Math.abs(b)*.1;a-=r;b+=r}
  return[a,b]}
function smooth(y,k){
  if(!k)return y;
  let m=0,d=0;
  return y.map(v=>{if(v==null)return v;m=k*m+(1-k)*v;d=k*d+1-k;return m/d})}
document.querySelectorAll('figure.plot').forEach((node,index)=>{
  const f=figures[index],svg=node.querySelector('svg'),key='report:'+location.pathname+':'+f.title;
  let state={log:false,k:0,zoom:null},start=null,X,Y,shown;
  try{state={...state,...JSON.parse(sessionStorage.getItem(key)||'{}')}}catch(e){}
  const tools=document.createElement('div');
  tools.className='tools';
  tools.innerHTML='<label><input type=checkbox> log</label><label>smooth <input type=range min=0 max=0.99 step=0.01></label><span></span>';
  const [log,k]=tools.querySelectorAll('input'),read=tools.querySelector('span');
  log.checked=state.log;
  k.value=state.k;
  node.append(tools);
  const px=x=>L+(x-X[0])/(X[1]-X[0])*w;
  const py=y=>T+(1-((state.log?(y>0?Math.log10(y):NaN):y)-Y[0])/(Y[1]-Y[0]))*h;
  function draw(){
    try{sessionStorage.setItem(key,JSON.stringify(state))}catch(e){}
    shown=f.curves.map(c=>({...c,y:smooth(c.y,state.k)}));
    const inside=x=>!state.zoom||(x>=state.zoom[0]&&x<=state.zoom[1]);
    X=state.zoom||range(f.curves.flatMap(c=>c.x),false);
    Y=range(shown.flatMap(c=>c.y.filter((v,i)=>inside(c.x[i]))),state.log);
    let o='';
    for(const t of ticks(Y[0],Y[1],state.log,5))
      o+=`<line class="grid" x1="${L}" x2="${L+w}" y1="${py(t)}" y2="${py(t)}"/><text x="${L-6}" y="${py(t)+4}" text-anchor="end">${short(t)}</text>`;
    for(const t of ticks(X[0],X[1],false,6))
      o+=`<text x="${px(t)}" y="${H-6}" text-anchor="middle">${short(t)}</text>`;
    shown.forEach((c,j)=>{
      let d='',pen=false;
      c.x.forEach((x,i)=>{
        const y=c.y[i]==null?NaN:py(c.y[i]);
        if(!inside(x)||!Number.isFinite(y)){pen=false;return}
        d+=(pen?'L':'M')+px(x).toFixed(1)+' '+y.toFixed(1)+(pen?'':'h.01');
        pen=true});
      o+=`<path class="curve" stroke-linecap="round" style="stroke:var(--c${j%8})" d="${d}"/>`});
    o+=`<text class="title" x="${L}" y="14">${escape(f.title)}</text>`;
    if(shown.length>1){
      let at=W-R;
      [...shown.keys()].reverse().forEach(j=>{
        o+=`<text x="${at}" y="14" text-anchor="end" style="fill:var(--c${j%8})">${escape(shown[j].name)}</text>`;
        at-=7*shown[j].name.length+14})}
    svg.innerHTML=o+`<rect class="box" style="fill:var(--pale);opacity:.2" x="0" y="${T}" width="0" height="${h}"/>`}
  const at=e=>{
    const r=svg.getBoundingClientRect();
    return X[0]+Math.min(1,Math.max(0,((e.clientX-r.left)*W/r.width-L)/w))*(X[1]-X[0])};
  log.oninput=()=>{state.log=log.checked;draw()};
  k.oninput=()=>{state.k=+k.value;draw()};
  svg.onpointerdown=e=>{start=at(e)};
  svg.onpointermove=e=>{
    const x=at(e);
    read.textContent=shown.map(c=>{
      let b=-1;
      c.x.forEach((v,i)=>{if(c.y[i]!=null&&(b<0||Math.abs(v-x)<Math.abs(c.x[b]-x)))b=i});
      return b<0?'':(c.name?c.name+' ':'')+short(c.y[b])+' at '+short(c.x[b])}).join(', ');
    if(start==null)return;
    const box=svg.querySelector('.box');
    box.setAttribute('x',px(Math.min(start,x)));
    box.setAttribute('width',Math.abs(px(x)-px(start)))};
  svg.onpointerup=e=>{
    const x=at(e);
    if(start!=null&&Math.abs(x-start)>(X[1]-X[0])*.02)state.zoom=[Math.min(x,start),Math.max(x,start)];
    start=null;
    draw()};
  svg.onpointerleave=()=>{if(start!=null){start=null;draw()}};
  svg.ondblclick=()=>{state.zoom=null;draw()};
  draw()});
)js";

}  // namespace nn::detail

package com.vivo.push;

/** Stands in for the interface of this name in vivo's library. */
public interface IPushActionListener {
  void onStateChanged(int state);
}

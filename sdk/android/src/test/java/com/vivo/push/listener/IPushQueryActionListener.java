package com.vivo.push.listener;

/** Stands in for the interface of this name in vivo's library. */
public interface IPushQueryActionListener {
  void onSuccess(String regId);

  void onFail(Integer code);
}

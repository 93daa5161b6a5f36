package com.heytap.msp.push.callback;

/** Stands in for the interface of this name in OPPO's library. */
public interface ICallBackResultService {
  void onRegister(int code, String registerId, String packageName, String miniPackageName);

  void onError(int code, String message);
}
